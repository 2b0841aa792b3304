"""What may be kept of an answer, and by whom."""

from hypothesis import given
from hypothesis import strategies as st

from components.http_cache import CONSOLE, PRIVATE, Kept, Rule, Source, applies, edge_rules, rules
from stacks.aws import CdnSettings

PATHS = st.one_of(
    st.sampled_from(["/", "/assets/app.1a2b.js", "/api/chat", "/v1/models", "/api/version", "/ws", "/nodes"]),
    st.text("abc/.*", max_size=20).map(lambda text: f"/{text}"),
)


def rule_for(path: str, source: Source = Source.CONSOLE) -> Rule:
    return next(rule for rule in rules(CdnSettings(), source) if applies(rule, path))


def test_the_report_s_numbers_are_the_defaults() -> None:
    static = rule_for("/assets/app.1a2b.js")
    assert static.kept is Kept.ALWAYS
    assert static.max_age_s == 31_536_000
    assert static.cache_control == "public, max-age=31536000, immutable"
    assert rule_for("/api/version").max_age_s == rule_for("/v1/models").max_age_s == 300


def test_pages_are_asked_for_anew() -> None:
    for path in ("/", "/index.html", "/nodes"):
        assert rule_for(path).kept is Kept.NEVER
        assert rule_for(path).cache_control == "no-cache"


@given(path=PATHS, source=st.sampled_from(Source))
def test_no_answer_that_may_be_somebodys_is_kept(path: str, source: Source) -> None:
    rule = rule_for(path, source)
    if rule.source is Source.API and path not in ("/api/version", "/v1/models"):
        assert rule.kept is Kept.NEVER
        assert rule.cache_control == PRIVATE
    if rule.source is Source.API:
        assert rule.kept is not Kept.ALWAYS


@given(path=PATHS)
def test_the_edge_says_of_a_path_what_the_rules_of_its_host_say(path: str) -> None:
    edge, host = (
        next(rule for rule in table if applies(rule, path))
        for table in (edge_rules(CdnSettings()), rules(CdnSettings(), Source.API))
    )
    if not path.startswith(CONSOLE):
        assert edge == host


@given(path=st.text("abc/.-", max_size=20).map(lambda text: f"/{text}"))
def test_the_console_is_told_the_same_below_its_path_at_the_edge_and_at_the_root_of_its_own_name(
    path: str,
) -> None:
    below = next(rule for rule in edge_rules(None) if applies(rule, CONSOLE + path.removeprefix("/")))
    assert below.cache_control == rule_for(path).cache_control


def test_without_a_cdn_nothing_of_the_api_is_public() -> None:
    assert {rule.kept for rule in edge_rules(None) if rule.paths and rule.source is Source.API} == {
        Kept.NEVER
    }


def test_a_stack_says_what_is_public() -> None:
    settings = CdnSettings(public_paths=("/api/tags",))
    kept = [rule.paths for rule in rules(settings, Source.API) if rule.kept is not Kept.NEVER]
    assert kept == [("/api/tags",)]


def test_the_api_is_never_looked_for_among_the_consoles_files() -> None:
    for path in ("/api/chat", "/v1/chat/completions", "/ws", "/api/v1/nodes"):
        assert rule_for(path).source is Source.API
    assert rule_for("/anything", Source.API).source is Source.API
