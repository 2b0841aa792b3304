"""Encryption on the wire."""

from collections.abc import Iterator

from policies.rule import Resource, rule
from policies.values import UNKNOWN, dig, items, may_be, uncertain

VIEWER_VERSIONS = ("TLSv1.2_2021", "TLSv1.2_2025", "TLSv1.3_2025")
DISTRIBUTION = "aws:cloudfront/distribution:Distribution"
LISTENERS = ("aws:lb/listener:Listener", "aws:alb/listener:Listener")
MODERN_POLICY = "ELBSecurityPolicy-TLS13-1-"
WEAK_POLICIES = ("ELBSecurityPolicy-TLS13-1-0", "ELBSecurityPolicy-TLS13-1-1")


@rule(
    "cdn-viewer-tls",
    why="Older versions of TLS have known attacks, and plain HTTP has no protection at all.",
    remedy=f"Set viewerCertificate.minimumProtocolVersion to one of {', '.join(VIEWER_VERSIONS)} with a "
    "certificate of your own, and viewerProtocolPolicy to redirect-to-https or https-only.",
    on=(DISTRIBUTION,),
)
def cdn_viewer_tls(found: Resource) -> Iterator[str]:
    """CloudFront talks to viewers over TLS 1.2 of 2021 or newer only."""
    certificate = found.props.get("viewerCertificate")
    version = dig(certificate, "minimumProtocolVersion")
    if dig(certificate, "cloudfrontDefaultCertificate") is True:
        yield "the default certificate allows TLS 1.0"
    elif not may_be(version, *VIEWER_VERSIONS):
        yield f"viewerCertificate.minimumProtocolVersion is {version}"
    for one in (found.props.get("defaultCacheBehavior"), *items(found.props.get("orderedCacheBehaviors"))):
        policy = dig(one, "viewerProtocolPolicy")
        if not may_be(policy, "redirect-to-https", "https-only"):
            yield f"viewerProtocolPolicy is {policy}"


@rule(
    "cdn-origin-tls",
    why="Between the CDN and the origin lies the same internet.",
    remedy="Set originProtocolPolicy to https-only and originSslProtocols to [TLSv1.2].",
    on=(DISTRIBUTION,),
)
def cdn_origin_tls(found: Resource) -> Iterator[str]:
    """CloudFront talks to its origins over TLS 1.2 only."""
    for origin in items(found.props.get("origins")):
        custom, name = dig(origin, "customOriginConfig"), dig(origin, "originId")
        if custom is None or custom is UNKNOWN:
            continue
        policy = dig(custom, "originProtocolPolicy")
        if not may_be(policy, "https-only"):
            yield f"origin {name}: originProtocolPolicy is {policy}"
        if old := sorted({*items(dig(custom, "originSslProtocols"))} - {"TLSv1.2"}):
            yield f"origin {name}: originSslProtocols allows {', '.join(old)}"


@rule(
    "cdn-zone-tls",
    why="Cloudflare's defaults allow TLS 1.0 to viewers and any certificate, or none, at the origin.",
    remedy="Set ssl to strict, min_tls_version to 1.2 or 1.3 and always_use_https to on.",
    on=("cloudflare:index/zoneSetting:ZoneSetting",),
)
def cdn_zone_tls(found: Resource) -> Iterator[str]:
    """A Cloudflare zone checks the origin's certificate and speaks TLS 1.2 or newer only."""
    allowed = {"ssl": ("strict",), "min_tls_version": ("1.2", "1.3"), "always_use_https": ("on",)}
    setting, value = found.props.get("settingId"), found.props.get("value")
    if isinstance(setting, str) and not may_be(value, *allowed.get(setting, (value,))):
        yield f"{setting} is {value}"


@rule(
    "listener-tls",
    why="A load balancer's default policy still speaks TLS 1.0, and a plain listener shows keys and prompts.",
    remedy="Set sslPolicy to an ELBSecurityPolicy-TLS13-1-2 or -1-3 one; let an HTTP listener only redirect "
    "to HTTPS.",
    on=LISTENERS,
)
def listener_tls(found: Resource) -> Iterator[str]:
    """A load balancer that ends TLS speaks 1.2 or newer, and plain HTTP only redirects."""
    protocol, policy = found.props.get("protocol"), found.props.get("sslPolicy")
    if protocol in ("HTTPS", "TLS") and policy is not UNKNOWN:
        modern = isinstance(policy, str) and policy.startswith(MODERN_POLICY)
        if not modern or str(policy).startswith(WEAK_POLICIES):
            yield f"sslPolicy is {policy}"
    if protocol == "HTTP":
        for action in items(found.props.get("defaultActions")):
            if not may_be(dig(action, "redirect", "protocol"), "HTTPS"):
                yield f"it serves plain HTTP: its action is {dig(action, 'type')}"


@rule(
    "database-tls",
    why="Without it, a client that forgets TLS sends its password in the clear.",
    remedy="Set the parameter rds.force_ssl to 1.",
    on=("aws:rds/parameterGroup:ParameterGroup", "aws:rds/clusterParameterGroup:ClusterParameterGroup"),
)
def database_tls(found: Resource) -> Iterator[str]:
    """A PostgreSQL server refuses connections without TLS."""
    family, given = found.props.get("family"), found.props.get("parameters")
    values = {dig(one, "name"): dig(one, "value") for one in items(given)}
    postgres = isinstance(family, str) and family.startswith(("postgres", "aurora-postgresql"))
    known = not uncertain(given) and UNKNOWN not in values
    if postgres and known and not may_be(values.get("rds.force_ssl"), "1", 1):
        yield f"rds.force_ssl is {values.get('rds.force_ssl', 'not set')}"
