"""The generated secrets."""

from components.credentials import PASSWORD_LENGTH
from tests.components.conftest import Graph

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


def test_no_setting_replaces_a_secret(local: Graph) -> None:
    for one in local.of_type(PASSWORD):
        assert "keepers" not in one.inputs
        assert one.depends_on == ()
