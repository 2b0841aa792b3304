"""The table in CloudFront's words."""

import pytest

from components.aws.account import Account
from components.aws.cloudfront_policies import CloudfrontPolicies, CloudfrontPoliciesArgs, ages
from components.http_cache import PRIVATE, Kept, Rule, Source, rules
from stacks.aws import CdnSettings
from tests.components.aws.conftest import of
from tests.components.conftest import ROOT, Graph, record_of

GOLDEN = ROOT / "tests" / "templates" / "golden"


def policies() -> Graph:
    args = CloudfrontPoliciesArgs(
        Account("prod", "111122223333", "eu-central-1"),
        rules(CdnSettings(), Source.CONSOLE),
    )
    return record_of(lambda: CloudfrontPolicies("policies", args), "prod")


@pytest.mark.parametrize(
    ("kept", "expected"),
    [(Kept.ALWAYS, (60, 60, 60)), (Kept.ANONYMOUS, (0, 0, 60)), (Kept.NEVER, (0, 1, 1))],
)
def test_an_origin_can_shorten_what_is_kept_unless_its_file_never_changes(
    kept: Kept, expected: tuple[int, int, int]
) -> None:
    assert ages(Rule("some", ("/x",), Source.CONSOLE, kept, 60, PRIVATE)) == expected


def test_viewers_of_pages_are_told_what_the_table_says_and_of_answers_what_the_edge_does() -> None:
    found = of(policies(), "cloudfront/responseHeadersPolicy:ResponseHeadersPolicy")
    told = {
        name: [item["value"] for item in one.inputs.get("customHeadersConfig", {}).get("items", [])]
        for name, one in found.items()
    }
    assert told == {
        "static": [],
        "public": [],
        "api": [],
        "pages": ["no-cache"],
    }


def test_the_console_may_do_behind_the_cdn_what_it_may_at_the_edge() -> None:
    edge = (GOLDEN / "edge" / "nginx.conf").read_text()
    for one in of(policies(), "cloudfront/responseHeadersPolicy:ResponseHeadersPolicy").values():
        security = one.inputs["securityHeadersConfig"]
        content = security["contentSecurityPolicy"]["contentSecurityPolicy"]
        assert "'unsafe" not in content
        assert f'"{content}"' in edge
        assert security["strictTransportSecurity"]["accessControlMaxAgeSec"] == 31_536_000
        assert security["frameOptions"]["frameOption"] == "DENY"


def test_names_tell_the_stacks_of_an_account_apart() -> None:
    names = {one.inputs["name"] for one in of(policies(), "cloudfront/cachePolicy:CachePolicy").values()}
    assert names == {"ollamamax-prod-static", "ollamamax-prod-public", "ollamamax-prod-pages"}
