"""The web application firewall before CloudFront: known attackers, known attacks, and who asks too often.

Costs 5 USD a month, 1 USD for each of its four rules, and 0.60 USD for a million requests. Deleted, the
platform goes on, behind CloudFront's own protection against floods and the gateways' limits a key.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import wafv2

from components.aws.account import Account

REGION = "us-east-1"
"""Where CloudFront looks for its firewalls."""
WINDOW_S = 300
GROUPS = {
    "AWSManagedRulesAmazonIpReputationList": (),
    "AWSManagedRulesKnownBadInputsRuleSet": (
        "JavaDeserializationRCE_BODY",
        "Log4JRCE_BODY",
        "ReactJSRCE_BODY",
    ),
    "AWSManagedRulesCommonRuleSet": (
        "CrossSiteScripting_BODY",
        "EC2MetaDataSSRF_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
        "SizeRestrictions_BODY",
    ),
}
"""Group of rules that AWS keeps → those of them that only count. A prompt may be long, and a question about
an attack looks like one."""
SECRET_HEADERS = ("authorization", "cookie")


@dataclass(frozen=True)
class WebFirewallArgs:
    """What the firewall needs.

    Attributes:
        account: where it is.
        requests_per_5_minutes: requests from one address beyond which it is blocked.
        log_bucket_arn: where what it blocked is written down.
        after: what must be there before it writes: the bucket's policy.
    """

    account: Account
    requests_per_5_minutes: int
    log_bucket_arn: pulumi.Input[str]
    after: Sequence[pulumi.Resource] = ()


class WebFirewall(pulumi.ComponentResource):
    """What every request to the CDN passes first."""

    def __init__(self, name: str, args: WebFirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:WebFirewall", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self._acl = wafv2.WebAcl(
            name,
            name=args.account.prefix,
            scope="CLOUDFRONT",
            region=REGION,
            default_action={"allow": {}},
            rules=[_rate(args.requests_per_5_minutes), *map(_managed, range(1, 1 + len(GROUPS)), GROUPS)],
            visibility_config=_visible(args.account.prefix),
            opts=child,
        )
        wafv2.WebAclLoggingConfiguration(
            name,
            resource_arn=self._acl.arn,
            log_destination_configs=[args.log_bucket_arn],
            redacted_fields=[{"single_header": {"name": header}} for header in SECRET_HEADERS],
            logging_filter={
                "default_behavior": "DROP",
                "filters": [
                    {
                        "behavior": "KEEP",
                        "requirement": "MEETS_ANY",
                        "conditions": [
                            {"action_condition": {"action": action}} for action in ("BLOCK", "COUNT")
                        ],
                    }
                ],
            },
            region=REGION,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )
        self.register_outputs({"arn": self.arn})

    @property
    def arn(self) -> pulumi.Output[str]:
        """Its ARN."""
        return self._acl.arn


def _rate(limit: int) -> dict[str, object]:
    return {
        "name": "rate",
        "priority": 0,
        "action": {"block": {"custom_response": {"response_code": 429}}},
        "statement": {
            "rate_based_statement": {
                "limit": limit,
                "evaluation_window_sec": WINDOW_S,
                "aggregate_key_type": "IP",
            }
        },
        "visibility_config": _visible("rate"),
    }


def _managed(priority: int, group: str) -> dict[str, object]:
    return {
        "name": group,
        "priority": priority,
        "override_action": {"none": {}},
        "statement": {
            "managed_rule_group_statement": {
                "vendor_name": "AWS",
                "name": group,
                "rule_action_overrides": [
                    {"name": rule, "action_to_use": {"count": {}}} for rule in GROUPS[group]
                ],
            }
        },
        "visibility_config": _visible(group),
    }


def _visible(metric: str) -> dict[str, object]:
    return {
        "metric_name": metric,
        "cloudwatch_metrics_enabled": True,
        "sampled_requests_enabled": True,
    }
