"""The generated secrets."""

import pytest

from components.credentials import PASSWORD_LENGTH
from tests.components.conftest import Graph, Plan

PASSWORD = "random:index/randomPassword:RandomPassword"


def test_every_secret_is_generated_on_its_own(local: Graph) -> None:
    assert [one.name for one in local.of_type(PASSWORD)] == [
        "api-key",
        "cache-password",
        "database-admin-password",
        "database-password",
        "monitoring-password",
    ]


def test_secrets_are_long_and_need_no_quoting(local: Graph) -> None:
    assert PASSWORD_LENGTH >= 32
    for one in local.of_type(PASSWORD):
        assert one.inputs == {"length": PASSWORD_LENGTH, "special": False}


def test_a_secret_that_no_setting_rotates_stays_as_every_release_has_made_it(local: Graph) -> None:
    for one in local.of_type(PASSWORD):
        assert "keepers" not in one.inputs
        assert one.depends_on == ()


@pytest.mark.parametrize(
    ("setting", "made"),
    [
        ("apiKey", {"api-key"}),
        ("database", {"database-password", "database-admin-password"}),
        ("cache", {"cache-password"}),
        ("monitoring", {"monitoring-password"}),
        ("certificates", set()),
        ("authority", set()),
    ],
)
def test_a_generation_makes_its_own_secrets_anew_and_no_others(
    plan: Plan, setting: str, made: set[str]
) -> None:
    found = plan(rotation={setting: "2026-11"}).of_type(PASSWORD)
    assert {one.name for one in found if one.inputs.get("keepers") == {"generation": "2026-11"}} == made
    assert {one.name for one in found if "keepers" in one.inputs} == made
