"""Cloudflare in the graph: the same table, in its words."""

from typing import Any

from components.aws.cloudflare import Cloudflare, CloudflareArgs
from components.http_cache import Source
from stacks.aws import CdnSettings
from tests.components.conftest import SECRET, Graph, record_of

HOST = "console.llm.example.org"
ZONE = "0123456789abcdef0123456789abcdef"
OURS = f'http.host in {{"{HOST}"}}'


def cloudflare(**settings: Any) -> Graph:
    args = CloudflareArgs(
        CdnSettings(cloudflare_zone_id=ZONE, requests_per_5_minutes=1000, **settings),
        {HOST: Source.CONSOLE},
        ("edge.elb.example.org", 8443),
    )
    return record_of(lambda: Cloudflare("cdn", args), "prod")


def rules(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cloudflare()[f"cloudflare:index/ruleset:Ruleset::{name}"].inputs["rules"]
    return found


def test_the_zone_speaks_http3_and_brotli_and_checks_certificates() -> None:
    settings = {
        one.inputs["settingId"]: one.inputs["value"]
        for one in cloudflare().of_type("cloudflare:index/zoneSetting:ZoneSetting")
    }
    expected = {
        "http3": "on",
        "brotli": "on",
        "ssl": "strict",
        "min_tls_version": "1.2",
        "always_use_https": "on",
    }
    assert expected.items() <= settings.items()


def test_a_token_of_the_stack_is_used_for_all_of_it_and_kept_secret() -> None:
    kind = "pulumi:providers:cloudflare"
    graph = cloudflare(cloudflare_token="of the zone")
    (provider,) = graph.of_type(kind)
    assert provider.inputs["apiToken"] == SECRET
    made = [one for one in graph.values() if one.type.startswith("cloudflare:")]
    assert made
    assert {one.provider for one in made} == {provider.key}
    assert not cloudflare().of_type(kind), "the environment has one"


def test_the_console_goes_through_the_proxy_to_the_edges_own_port_for_it() -> None:
    (record,) = cloudflare().of_type("cloudflare:index/dnsRecord:DnsRecord")
    assert record.inputs["content"] == "edge.elb.example.org"
    assert record.inputs["proxied"] is True
    (rule,) = rules("origin")
    assert rule["actionParameters"] == {"origin": {"port": 8443}}


def test_what_is_kept_is_what_the_table_says() -> None:
    nothing, static, public = rules("cache")
    assert nothing["expression"] == OURS
    assert nothing["actionParameters"] == {"cache": False}
    assert static["expression"] == f'{OURS} and (starts_with(http.request.uri.path, "/assets/"))'
    for rule in (static, public):
        assert rule["actionParameters"]["cache"] is True
        assert rule["actionParameters"]["edgeTtl"] == {"mode": "bypass_by_default"}, (
            "no more than the edge allows"
        )


def test_an_answer_to_somebody_is_never_kept() -> None:
    public = rules("cache")[2]["expression"]
    assert 'http.request.uri.path in {"/api/version" "/v1/models"}' in public
    assert 'len(http.request.headers["authorization"]) eq 0' in public
    assert 'len(http.request.headers["x-api-key"]) eq 0' in public
    assert 'http.cookie eq ""' in public


def test_viewers_are_told_what_the_edge_says() -> None:
    rulesets = {one.name for one in cloudflare().of_type("cloudflare:index/ruleset:Ruleset")}
    assert rulesets == {"cache", "origin", "rate", "attacks"}


def test_who_asks_too_often_is_blocked() -> None:
    (rule,) = rules("rate")
    assert rule["action"] == "block"
    assert rule["ratelimit"]["requestsPerPeriod"] == 1000
    assert rule["ratelimit"]["period"] == 300


def test_known_attacks_are_blocked_and_a_prompt_about_one_is_not() -> None:
    (rule,) = rules("attacks")
    assert rule["action"] == "execute"
    assert rule["expression"] == f'{OURS} and http.request.method ne "POST"'
