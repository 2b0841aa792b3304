"""Encryption on the wire."""

from typing import Any

from policies.rule import Resource
from tests.policies.examples import fails, passes, thing

CERTIFICATE = {"acmCertificateArn": "arn:aws:acm:x", "minimumProtocolVersion": "TLSv1.2_2021"}
REDIRECT = {"viewerProtocolPolicy": "redirect-to-https"}
ORIGIN = {"originProtocolPolicy": "https-only", "originSslProtocols": ["TLSv1.2"]}


def distribution(origin: dict[str, Any] | None = None, **props: Any) -> Resource:
    """Return a distribution that keeps the rules but for what is given."""
    origins = [{"originId": "edge", "customOriginConfig": ORIGIN | (origin or {})}, {"originId": "bucket"}]
    whole = {"viewerCertificate": CERTIFICATE, "defaultCacheBehavior": REDIRECT, "origins": origins}
    return thing("aws:cloudfront/distribution:Distribution", **whole | props)


def setting(name: str, value: str) -> Resource:
    """Return a setting of a Cloudflare zone."""
    return thing("cloudflare:index/zoneSetting:ZoneSetting", settingId=name, value=value)


def listener(service: str, **props: Any) -> Resource:
    """Return a listener of a load balancer."""
    return thing(f"aws:{service}/listener:Listener", **props)


def parameters(kind: str, **props: Any) -> Resource:
    """Return a parameter group of a database."""
    return thing(f"aws:rds/{kind}", **props)


FORCED = [{"name": "max_connections", "value": "200"}, {"name": "rds.force_ssl", "value": "1"}]
GROUPS = {
    "parameterGroup:ParameterGroup": "postgres17",
    "clusterParameterGroup:ClusterParameterGroup": "aurora-postgresql17",
}

EXAMPLES = [
    fails(
        "cdn-viewer-tls",
        distribution(viewerCertificate=CERTIFICATE | {"minimumProtocolVersion": "TLSv1.1_2016"}),
        says="viewerCertificate.minimumProtocolVersion is TLSv1.1_2016",
    ),
    fails(
        "cdn-viewer-tls",
        distribution(viewerCertificate={"cloudfrontDefaultCertificate": True}),
        says="the default certificate allows TLS 1.0",
    ),
    fails(
        "cdn-viewer-tls",
        distribution(orderedCacheBehaviors=[{"viewerProtocolPolicy": "allow-all"}]),
        says="viewerProtocolPolicy is allow-all",
    ),
    passes("cdn-viewer-tls", distribution()),
    fails(
        "cdn-origin-tls",
        distribution({"originProtocolPolicy": "http-only"}),
        says="edge: originProtocolPolicy is",
    ),
    fails("cdn-origin-tls", distribution({"originSslProtocols": ["TLSv1", "TLSv1.2"]}), says="allows TLSv1"),
    passes("cdn-origin-tls", distribution()),
    fails("cdn-zone-tls", setting("ssl", "flexible"), says="ssl is flexible"),
    fails("cdn-zone-tls", setting("min_tls_version", "1.0"), says="min_tls_version is 1.0"),
    fails("cdn-zone-tls", setting("always_use_https", "off"), says="always_use_https is off"),
    passes("cdn-zone-tls", setting("ssl", "strict")),
    passes("cdn-zone-tls", setting("brotli", "on")),
    *(
        example
        for service in ("lb", "alb")
        for example in (
            fails("listener-tls", listener(service, protocol="TLS"), says="sslPolicy is None"),
            fails(
                "listener-tls",
                listener(service, protocol="HTTPS", sslPolicy="ELBSecurityPolicy-TLS13-1-0-2021-06"),
                says="sslPolicy is ELBSecurityPolicy-TLS13-1-0-2021-06",
            ),
            fails(
                "listener-tls",
                listener(service, protocol="HTTP", defaultActions=[{"type": "forward"}]),
                says="it serves plain HTTP: its action is forward",
            ),
            passes(
                "listener-tls",
                listener(service, protocol="HTTPS", sslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06"),
            ),
            passes(
                "listener-tls",
                listener(
                    service,
                    protocol="HTTP",
                    defaultActions=[{"type": "redirect", "redirect": {"protocol": "HTTPS"}}],
                ),
            ),
            passes("listener-tls", listener(service, protocol="TCP_UDP")),
        )
    ),
    *(
        example
        for kind, family in GROUPS.items()
        for example in (
            fails("database-tls", parameters(kind, family=family), says="rds.force_ssl is not set"),
            fails(
                "database-tls",
                parameters(kind, family=family, parameters=[{"name": "rds.force_ssl", "value": "0"}]),
                says="rds.force_ssl is 0",
            ),
            passes("database-tls", parameters(kind, family=family, parameters=FORCED)),
            passes("database-tls", parameters(kind, family="mysql8.0")),
        )
    ),
]
