"""What the console's pages may do."""

from components.page_policy import CONTENT_SECURITY_POLICY

RULES = dict(rule.split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split("; "))


def test_what_is_not_allowed_is_forbidden() -> None:
    assert RULES["default-src"] == "'none'"


def test_pages_run_load_and_ask_what_is_their_own_hosts_and_nothing_else() -> None:
    assert set(RULES.values()) == {"'self'", "'none'"}
    assert {what for what, whose in RULES.items() if whose == "'self'"} == {
        "script-src", "style-src", "img-src", "connect-src", "manifest-src", "worker-src",
    }  # fmt: skip


def test_what_the_first_rule_does_not_cover_is_forbidden_by_its_own() -> None:
    assert {RULES[what] for what in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
