"""CloudFront's firewall in the graph."""

from typing import Any

from components.aws.account import Account
from components.aws.web_firewall import WebFirewall, WebFirewallArgs
from stacks import prices
from tests.components.aws.conftest import of
from tests.components.conftest import Graph, record_of


def firewall() -> Graph:
    args = WebFirewallArgs(
        Account("prod", "111122223333", "eu-central-1"), 2000, "arn:aws:s3:::aws-waf-logs-x"
    )
    return record_of(lambda: WebFirewall("firewall", args), "prod")


def acl() -> dict[str, Any]:
    return of(firewall(), "wafv2/webAcl:WebAcl")["firewall"].inputs


def test_it_stands_where_cloudfront_looks_for_it() -> None:
    assert (acl()["scope"], acl()["region"]) == ("CLOUDFRONT", "us-east-1")


def test_the_costs_of_a_stack_count_its_rules() -> None:
    assert len(acl()["rules"]) == prices.FIREWALL_RULES


def test_who_asks_too_often_is_blocked() -> None:
    rate = acl()["rules"][0]
    assert rate["statement"]["rateBasedStatement"] == {
        "limit": 2000,
        "evaluationWindowSec": 300,
        "aggregateKeyType": "IP",
    }
    assert rate["action"] == {"block": {"customResponse": {"responseCode": 429}}}


def test_known_attacks_are_blocked_and_a_prompt_about_one_is_not() -> None:
    groups = {
        rule["name"]: rule["statement"]["managedRuleGroupStatement"]["ruleActionOverrides"]
        for rule in acl()["rules"][1:]
    }
    assert "AWSManagedRulesCommonRuleSet" in groups
    counted = {override["name"] for overrides in groups.values() for override in overrides}
    assert "SizeRestrictions_BODY" in counted, "8 KiB is a short prompt"
    assert all(name.endswith("_BODY") for name in counted)
    assert len({rule["priority"] for rule in acl()["rules"]}) == len(acl()["rules"])


def test_no_key_is_written_down() -> None:
    (logs,) = of(firewall(), "wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration").values()
    assert [field["singleHeader"]["name"] for field in logs.inputs["redactedFields"]] == [
        "authorization",
        "cookie",
    ]
    assert logs.inputs["logDestinationConfigs"] == ["arn:aws:s3:::aws-waf-logs-x"]
