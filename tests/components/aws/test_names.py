"""The host names of a zone."""

import pytest

from components.aws import names
from stacks.aws import CdnSettings

ZONE = "llm.example.org"


def test_without_a_cdn_there_is_one_name() -> None:
    assert names.behind_cdn(ZONE, None) == ()
    assert names.certified(ZONE, None) == ("api.llm.example.org",)


@pytest.mark.parametrize(
    ("provider", "asked_for"),
    [("cloudflare", "console.llm.example.org"), ("cloudfront", "origin.llm.example.org")],
)
def test_the_edge_has_a_certificate_for_the_name_that_the_cdn_asks_for(provider: str, asked_for: str) -> None:
    settings = CdnSettings.model_validate({"provider": provider})
    assert names.certified(ZONE, settings) == ("api.llm.example.org", asked_for)


def test_the_api_goes_through_the_cdn_only_where_a_stack_says_so() -> None:
    assert names.behind_cdn(ZONE, CdnSettings()) == ("console.llm.example.org",)
    assert names.behind_cdn(ZONE, CdnSettings(api=True)) == (
        "console.llm.example.org",
        "api.llm.example.org",
    )
