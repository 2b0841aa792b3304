"""Secret settings: what ``make secret`` prints, put into the stack file, is what the program gets."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from engine.project import Config
from engine.secrets import Crypter
from ops import secret
from ops.__main__ import app
from ops.stack import StackError
from stacks.loading import ENCRYPTED, parse
from tests.ops.conftest import Checkout

PASSWORD = "alerts.mail.password"
MAIL = {
    "to": ["oncall@example.org"],
    "sender": "platform@example.org",
    "host": "smtp.example.org",
    "username": "platform",
}
LOCAL = {"ollamamax:target": "docker", "ollamamax:alerts": {"mail": MAIL}}
ON_AWS = {
    "ollamamax:target": "aws",
    "ollamamax:aws": {"accountId": "444455556666", "region": "eu-central-1"},
    "ollamamax:alerts": {"mail": MAIL},
}
PROVIDER = "awskms://alias/ollamamax-some-secrets?region=eu-central-1&awssdk=v2"


def put(checkout: Checkout, config: dict[str, Any], printed: str = "") -> None:
    """Write the stack file, with what was printed in its place."""
    new = yaml.safe_load(printed) if printed else {"config": {}}
    config = json.loads(json.dumps(config))
    if mail := new.pop("config").get("ollamamax:alerts", {}).get("mail"):
        config["ollamamax:alerts"]["mail"] |= mail
    before = yaml.safe_load(checkout.stack.settings_file.read_text())
    kept = {name: value for name, value in before.items() if name != "config"}
    checkout.stack.settings_file.write_text(yaml.safe_dump(kept | new | {"config": config}))


def opened(checkout: Checkout, phrase: str) -> str:
    """Return the password that the program of the stack gets from its engine."""
    config = Config.read(checkout.stack.config_file)
    config.open(Crypter(phrase, config.salt), "ollamamax")
    given = {key.rpartition(":")[2]: value for key, value in config.values.items()}
    settings = parse({**given, "alerts": json.loads(given["alerts"])}, "some")
    assert settings.alerts.mail
    assert settings.alerts.mail.password
    return settings.alerts.mail.password.get_secret_value()


def test_what_is_printed_is_opened_by_the_engine_and_by_no_other_command(embedded: Checkout) -> None:
    put(embedded, LOCAL)
    put(embedded, LOCAL, secret.sealed(embedded.stack, PASSWORD, "hunter 2"))
    assert "hunter" not in embedded.stack.settings_file.read_text()
    embedded.stack.prepare()
    assert opened(embedded, (embedded.stack.state / "passphrase").read_text()) == "hunter 2"
    mail = embedded.stack.settings().alerts.mail
    assert mail
    assert mail.password
    assert mail.password.get_secret_value() == ENCRYPTED


def test_the_salt_of_a_stack_that_is_up_is_kept(embedded: Checkout) -> None:
    put(embedded, LOCAL)
    embedded.stack.prepare()
    phrase = (embedded.stack.state / "passphrase").read_text()
    salt = Crypter(phrase).salt
    with embedded.stack.config_file.open("a") as file:
        file.write(f"encryptionsalt: {salt}\n")
    printed = secret.sealed(embedded.stack, PASSWORD, "first")
    assert yaml.safe_load(printed)["encryptionsalt"] == salt
    put(embedded, LOCAL, printed)
    again = secret.sealed(embedded.stack, PASSWORD, "second")
    assert "encryptionsalt" not in yaml.safe_load(again), "the file has it already"
    put(embedded, LOCAL, again)
    embedded.stack.prepare()
    assert opened(embedded, phrase) == "second"


def test_another_machines_secrets_are_said_to_be_so(embedded: Checkout) -> None:
    put(embedded, LOCAL)
    with embedded.stack.settings_file.open("a") as file:
        file.write(f"encryptionsalt: {Crypter('of another').salt}\n")
    with pytest.raises(StackError, match=r"has secrets that another passphrase opens: put that one into"):
        secret.sealed(embedded.stack, PASSWORD, "mine")


def test_a_stack_on_aws_has_its_key_encrypt(with_cli: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "some")
    put(with_cli, ON_AWS)
    printed = yaml.safe_load(secret.sealed(with_cli.stack, PASSWORD, "hunter 2"))
    words = with_cli.words
    file = Path(words[words.index("--config-file") + 1])
    assert words[:-2] == [
        "--non-interactive", "config", "set", "--secret", "--path", f"ollamamax:{PASSWORD}",
        "--config-file", str(file),
    ]  # fmt: skip
    assert words[-2:] == ["--stack", "some"]
    assert with_cli.calls[-1]["read"] == "hunter 2"
    assert not file.exists(), "only what is encrypted is left"
    assert printed["secretsprovider"] == PROVIDER
    assert printed["encryptedkey"] == "of the cli"
    put(with_cli, ON_AWS, yaml.safe_dump(printed))
    with_cli.stack.prepare()
    assert with_cli.stack.config_file.read_text() == with_cli.stack.settings_file.read_text()


def test_what_is_simulated_needs_no_secret(with_cli: Checkout) -> None:
    with_cli.stack.settings_file.write_text(
        f"secretsprovider: {PROVIDER}\nencryptedkey: some\nconfig: {{}}\n"
    )
    put(
        with_cli,
        ON_AWS,
        yaml.safe_dump({"config": {"ollamamax:alerts": {"mail": {"password": {"secure": "v1:x"}}}}}),
    )
    simulated = replace(with_cli.stack, simulate=True)
    simulated.prepare()
    found = yaml.safe_load(simulated.config_file.read_text())
    assert found.keys() == {"config"}
    assert found["config"]["ollamamax:alerts"]["mail"]["password"] == ENCRYPTED


def test_without_the_cli_nothing_encrypts_for_a_stack_on_aws(embedded: Checkout) -> None:
    put(embedded, ON_AWS)
    with pytest.raises(StackError, match=r"^secrets of stack some are encrypted with its KMS key: install "):
        secret.sealed(embedded.stack, PASSWORD, "mine")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--setting", "gateway.replicas"],
            "SETTING=gateway.replicas is no secret setting; there are: alerts.",
        ),
        (["--setting", PASSWORD], f"no value was given for {PASSWORD}: type it, or pipe it in"),
    ],
)
def test_what_cannot_be_encrypted_is_refused(words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["secret", *words], input="\n")
    assert isinstance(done.exception, StackError)
    assert str(done.exception).startswith(said)
    assert done.stdout == ""
