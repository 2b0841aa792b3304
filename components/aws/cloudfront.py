"""CloudFront: the console and the public GETs near their readers, over HTTP/3, Brotli and TLS 1.2 or newer.

Costs 0.085 USD a GB and 0.01 USD for 10,000 requests (the first TB and 10 million of a month are free),
beside firewall and logs. Deleted, the console is away, and ``api`` too where it goes through the CDN; a new
distribution takes some minutes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudfront

from components.aws.account import Account
from components.aws.bucket import Bucket, BucketArgs, bucket_name
from components.aws.cdn_logs import CdnLogs, CdnLogsArgs
from components.aws.cloudfront_policies import CloudfrontPolicies, CloudfrontPoliciesArgs
from components.aws.documents import let
from components.aws.key import Key, KeyArgs
from components.aws.web_firewall import WebFirewall, WebFirewallArgs
from components.http_cache import Kept, Rule, Source, rules
from stacks.aws import CdnSettings

METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
READ_METHODS = ["GET", "HEAD"]
TLS = "TLSv1.2_2021"
READ_TIMEOUT_S = 60
"""Longest silence of the origin: the most that AWS allows unasked."""
KEEP_ALIVE_S = 60
"""Less than the edge's own, which must not be the first to close."""
ERRORS = (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)
"""Those that CloudFront would keep for 10 s."""
VERSIONS_DAYS = 30
PAGE = "index.html"
"""The console has one page: where in it one is, stands behind the ``#`` of the address."""
KEEP = """function handler(event) {
  event.response.headers['cache-control'] = {value: 'CACHE_CONTROL'};
  return event.response;
}
"""
"""What viewers are told of a file whose name changes with its content. CloudFront calls no function for an
error. Its policies of headers hold for errors, too: what was missing once would be missing for a year."""


@dataclass(frozen=True)
class CloudfrontArgs:
    """What CloudFront needs.

    Attributes:
        account: where it is.
        settings: the CDN's.
        hosts: the names that it answers to, and where the pages of each come from.
        certificates: name → ARN of its certificate.
        origin: name and port of the edge's load balancer, as in the edge's certificate.
        allow_replace: the names that the stack gives free.
    """

    account: Account
    settings: CdnSettings
    hosts: Mapping[str, Source]
    certificates: Mapping[str, pulumi.Input[str]]
    origin: tuple[str, int]
    allow_replace: Collection[str] = ()


class Cloudfront(pulumi.ComponentResource):
    """A distribution for each host name, and the bucket of the console's files."""

    def __init__(self, name: str, args: CloudfrontArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:Cloudfront", name, None, opts)
        self._args = args
        self._child = child = pulumi.ResourceOptions(parent=self)
        account, settings = args.account, args.settings
        self._console = self._bucket()
        self._logs = CdnLogs("cdn-logs", CdnLogsArgs(account, args.allow_replace), child)
        self._firewall = WebFirewall(
            "firewall",
            WebFirewallArgs(
                account, settings.requests_per_5_minutes, self._logs.bucket_arn, after=[self._logs]
            ),
            child,
        )
        known = {rule.name: rule for source in args.hosts.values() for rule in rules(settings, source)}
        self._policies = CloudfrontPolicies(
            "policies", CloudfrontPoliciesArgs(account, list(known.values())), child
        )
        self._access = cloudfront.OriginAccessControl(
            name,
            name=f"{account.prefix}-console",
            origin_access_control_origin_type="s3",
            signing_behavior="always",
            signing_protocol="sigv4",
            opts=child,
        )
        static = known["static"]
        self._keep = cloudfront.Function(
            f"{name}-keep",
            name=f"{account.prefix}-keep",
            runtime="cloudfront-js-2.0",
            code=KEEP.replace("CACHE_CONTROL", static.cache_control),
            opts=child,
        )
        self._distributions = {host: self._distribution(host, source) for host, source in args.hosts.items()}
        self.register_outputs({})

    @property
    def console_bucket(self) -> pulumi.Output[str]:
        """Name of the bucket that the console's files go into."""
        return self._console.bucket

    def leads_to(self, host: str) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """Return the distribution's own name for ``host``, and the zone of that name."""
        return self._distributions[host]

    def _bucket(self) -> Bucket:
        args, account = self._args, self._args.account
        service = {"Service": "cloudfront.amazonaws.com"}
        own = {"ArnLike": {"aws:SourceArn": account.global_arn("cloudfront", "distribution/*")}}
        key = Key(
            "console",
            KeyArgs(
                account,
                "The console's files",
                allow_replace=args.allow_replace,
                statements=[let(service, ["kms:Decrypt"], ["*"], own)],
            ),
            self._child,
        )
        files = f"arn:{account.partition}:s3:::{bucket_name(account, 'console')}/*"
        return Bucket(
            "console",
            BucketArgs(
                account,
                key=key,
                versions_days=VERSIONS_DAYS,
                statements=[let(service, ["s3:GetObject"], [files], own)],
                allow_replace=args.allow_replace,
            ),
            self._child,
        )

    def _distribution(self, host: str, source: Source) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """Make the distribution of ``host`` and return its own name and the zone of that."""
        args = self._args
        edge, port = args.origin
        *special, usual = rules(args.settings, source)
        origins: list[dict[str, object]] = [
            {
                "origin_id": Source.API.value,
                "domain_name": edge,
                "custom_origin_config": {
                    "http_port": 80,
                    "https_port": port,
                    "origin_protocol_policy": "https-only",
                    "origin_ssl_protocols": ["TLSv1.2"],
                    "origin_read_timeout": READ_TIMEOUT_S,
                    "origin_keepalive_timeout": KEEP_ALIVE_S,
                },
            }
        ]
        if source is Source.CONSOLE:
            origins.append(
                {
                    "origin_id": Source.CONSOLE.value,
                    "domain_name": self._console.domain_name,
                    "origin_access_control_id": self._access.id,
                }
            )
        made = cloudfront.Distribution(
            host,
            comment=f"{args.account.prefix}: {host}",
            aliases=[host],
            enabled=True,
            is_ipv6_enabled=True,
            http_version="http2and3",
            price_class="PriceClass_All",
            default_root_object=PAGE if source is Source.CONSOLE else None,
            origins=origins,
            default_cache_behavior=self._behaviour(usual),
            ordered_cache_behaviors=[
                {"path_pattern": path, **self._behaviour(rule)} for rule in special for path in rule.paths
            ],
            custom_error_responses=[{"error_code": code, "error_caching_min_ttl": 0} for code in ERRORS],
            viewer_certificate={
                "acm_certificate_arn": args.certificates[host],
                "minimum_protocol_version": TLS,
                "ssl_support_method": "sni-only",
            },
            restrictions={"geo_restriction": {"restriction_type": "none"}},
            web_acl_id=self._firewall.arn,
            opts=self._child,
        )
        self._logs.follow(host, made.arn)
        return made.domain_name, made.hosted_zone_id

    def _behaviour(self, rule: Rule) -> dict[str, object]:
        policies = self._policies.of(rule)
        static = rule.kept is Kept.ALWAYS
        found = {
            "target_origin_id": rule.source.value,
            "viewer_protocol_policy": "redirect-to-https",
            "allowed_methods": METHODS if rule.passes_through else READ_METHODS,
            "cached_methods": READ_METHODS,
            "cache_policy_id": policies.cache,
            "origin_request_policy_id": policies.request,
            "response_headers_policy_id": policies.response,
            # A compressor would hold tokens back; the edge compresses what is no stream.
            "compress": not rule.passes_through,
            "function_associations": [{"event_type": "viewer-response", "function_arn": self._keep.arn}]
            if static
            else None,
        }
        return {key: value for key, value in found.items() if value is not None}
