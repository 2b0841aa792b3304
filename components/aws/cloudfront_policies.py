"""The table of ``http_cache`` in CloudFront's words: what is in a cache key, and what viewers are told.

Costs nothing, and cannot be deleted while a distribution uses it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudfront

from components.aws.account import Account
from components.http_cache import Kept, Rule, Source
from components.page_policy import CONTENT_SECURITY_POLICY

NOT_CACHED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
"""AWS's own cache policy ``CachingDisabled``."""
ALL_OF_THE_VIEWER = "216adef6-5c7f-47e4-b989-5492eafa07d3"
"""AWS's own origin request policy ``AllViewer``."""
REVALIDATION_S = 1
"""CloudFront compresses only what it may keep: for a moment."""
HSTS_S = 31_536_000


@dataclass(frozen=True)
class CloudfrontPoliciesArgs:
    """What the policies need.

    Attributes:
        account: whose they are.
        rules: the rules that they stand for.
    """

    account: Account
    rules: Sequence[Rule]


@dataclass(frozen=True)
class Policies:
    """Ids of the policies of one rule."""

    cache: pulumi.Input[str]
    request: str | None
    response: pulumi.Input[str]


class CloudfrontPolicies(pulumi.ComponentResource):
    """A cache policy and a response headers policy for each rule that needs them."""

    def __init__(
        self, name: str, args: CloudfrontPoliciesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ollamamax:aws:CloudfrontPolicies", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._policies = {rule.name: self._of(rule) for rule in args.rules}
        self.register_outputs({})

    def of(self, rule: Rule) -> Policies:
        """Return the policies of ``rule``."""
        return self._policies[rule.name]

    def _of(self, rule: Rule) -> Policies:
        through = rule.passes_through
        return Policies(
            cache=NOT_CACHED if through else self._cache(rule),
            request=ALL_OF_THE_VIEWER if through else None,
            response=self._response(rule),
        )

    def _cache(self, rule: Rule) -> pulumi.Output[str]:
        least, default, most = ages(rule)
        # With the key of who asks in it, an answer is never anybody else's.
        headers = ["Authorization"] if rule.kept is Kept.ANONYMOUS else []
        policy = cloudfront.CachePolicy(
            rule.name,
            name=f"{self._args.account.prefix}-{rule.name}",
            min_ttl=least,
            default_ttl=default,
            max_ttl=most,
            parameters_in_cache_key_and_forwarded_to_origin={
                "cookies_config": {"cookie_behavior": "none"},
                "query_strings_config": {"query_string_behavior": "none"},
                "headers_config": {"header_behavior": "whitelist", "headers": {"items": headers}}
                if headers
                else {"header_behavior": "none"},
                "enable_accept_encoding_brotli": True,
                "enable_accept_encoding_gzip": True,
            },
            opts=self._child,
        )
        return policy.id

    def _response(self, rule: Rule) -> pulumi.Output[str]:
        # The edge says it itself; of files that never change a function does, as this would of errors, too.
        said_here = rule.source is Source.CONSOLE and rule.kept is Kept.NEVER
        policy = cloudfront.ResponseHeadersPolicy(
            rule.name,
            name=f"{self._args.account.prefix}-{rule.name}",
            custom_headers_config={
                "items": [{"header": "Cache-Control", "value": rule.cache_control, "override": True}]
            }
            if said_here
            else None,
            security_headers_config=self._security(),
            opts=self._child,
        )
        return policy.id

    def _security(self) -> Mapping[str, Mapping[str, object]]:
        return {
            "strict_transport_security": {"access_control_max_age_sec": HSTS_S, "override": True},
            "content_security_policy": {"content_security_policy": CONTENT_SECURITY_POLICY, "override": True},
            "content_type_options": {"override": True},
            "frame_options": {"frame_option": "DENY", "override": True},
            "referrer_policy": {"referrer_policy": "no-referrer", "override": True},
        }


def ages(rule: Rule) -> tuple[int, int, int]:
    """Return how long CloudFront keeps an answer, seconds: at least, if its origin says nothing, at most."""
    match rule.kept:
        case Kept.ALWAYS:
            return rule.max_age_s, rule.max_age_s, rule.max_age_s
        case Kept.ANONYMOUS:
            return 0, 0, rule.max_age_s
    return 0, REVALIDATION_S, REVALIDATION_S
