"""Another passphrase for the states on this machine: nothing is lost, whenever it is killed."""

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from engine.backend import Backend
from engine.errors import EngineError
from engine.secrets import ITERATIONS, Crypter
from engine.values import Secret, freeze, reveal, thaw
from ops import passphrase
from ops.private import NEXT_PASSPHRASE, PASSPHRASE, write_private
from ops.stack import Stack, StackError
from tests.ops.conftest import Checkout

REFERENCE = Path(__file__).parents[1] / "engine" / "reference" / "state-after-up.json"
"""What the Pulumi CLI wrote, with the passphrase ``reference``."""
BEFORE = "reference"
PLAIN = {"password": "p", "nested": {"inside": "of a secret"}, "plain": 1}
STATE = "stacks/ollamamax/some.json"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive keys in fewer rounds: the format is the same."""
    monkeypatch.setattr("engine.secrets.ITERATIONS", 10)


@pytest.fixture
def checkout(embedded: Checkout) -> Checkout:
    """Return a checkout with states of two stacks, one simulated, an older one, and secret settings."""
    state = embedded.stack.state
    embedded.stack.prepare()
    (state / PASSPHRASE).write_text(BEFORE)
    crypter = Crypter(BEFORE)
    write(state / ".pulumi" / STATE, crypter)
    write(state / ".pulumi/history/ollamamax/some-1.checkpoint.json", crypter)
    write(state / ".pulumi/history/ollamamax/some-0.checkpoint.json", Crypter("forgotten"))
    write(state / "simulated/.pulumi/stacks/ollamamax/other.json", Crypter(BEFORE))
    settings = f"config:\n  a:b:\n    secure: {crypter.encrypt('s')}\nencryptionsalt: {crypter.salt}\n"
    (embedded.root / "stacks" / "Pulumi.some.yaml").write_text(settings)
    (state / "Pulumi.other.yaml").write_text(f"config: {{}}\nencryptionsalt: {Crypter(BEFORE).salt}\n")
    return embedded


def write(file: Path, crypter: Crypter) -> None:
    """Write a state whose only resource has secrets."""
    values = {"password": Secret("p"), "nested": Secret({"inside": Secret("of a secret")}), "plain": 1}
    outputs = freeze(values, crypter.encrypt)
    latest = {
        "secrets_providers": {"type": "passphrase", "state": {"salt": crypter.salt}},
        "resources": [{"urn": "urn:pulumi:some::ollamamax::a:b:C::d", "outputs": outputs}],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": latest}}))


def opened(file: Path, phrase: str) -> Any:
    """Return what is secret in a state, or in a stack file."""
    text = file.read_text()
    crypter = Crypter(phrase, passphrase.SALT.findall(text)[0])
    if file.suffix == ".yaml":
        return [crypter.decrypt(one) for one in re.findall(r"secure: (\S+)", text)]
    (one,) = json.loads(text)["checkpoint"]["latest"]["resources"]
    return reveal(thaw(one["outputs"], crypter.decrypt))


def files(checkout: Checkout) -> list[Path]:
    """Return all files with secrets that the passphrase opens."""
    state = checkout.stack.state
    return [
        *(state / ".pulumi" / name for name in (STATE, "history/ollamamax/some-1.checkpoint.json")),
        state / "simulated/.pulumi/stacks/ollamamax/other.json",
        state / "Pulumi.other.yaml",
        checkout.root / "stacks" / "Pulumi.some.yaml",
    ]


def test_everything_opens_with_the_new_passphrase_and_nothing_with_the_old_one(checkout: Checkout) -> None:
    before = {file: opened(file, BEFORE) for file in files(checkout)}
    assert PLAIN in before.values()
    passphrase.rotate(checkout.root, lambda text: None)
    after = (checkout.stack.state / PASSPHRASE).read_text()
    assert len(after) >= 32
    for file in files(checkout):
        assert opened(file, after) == before[file]
        with pytest.raises(EngineError, match="incorrect passphrase"):
            opened(file, BEFORE)


def test_neither_passphrase_is_said_and_the_file_is_for_its_owner_alone(
    checkout: Checkout, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    passphrase.rotate(checkout.root, said.append)
    file = checkout.stack.state / PASSPHRASE
    printed = capfd.readouterr()
    for phrase in (BEFORE, file.read_text()):
        assert phrase not in "".join(said) + printed.out + printed.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((checkout.root / "stacks" / "Pulumi.some.yaml").stat().st_mode) == 0o644
    assert not (checkout.stack.state / NEXT_PASSPHRASE).exists()


def test_what_another_passphrase_opens_stays_as_it_is(checkout: Checkout) -> None:
    older = checkout.stack.state / ".pulumi/history/ollamamax/some-0.checkpoint.json"
    elsewhere = checkout.root / "stacks" / "Pulumi.other.yaml"
    elsewhere.write_text(f"config: {{}}\nencryptionsalt: {Crypter('of a colleague').salt}\n")
    before = older.read_bytes(), elsewhere.read_bytes()
    passphrase.rotate(checkout.root, lambda text: None)
    assert (older.read_bytes(), elsewhere.read_bytes()) == before


@pytest.mark.parametrize("written", range(8))
def test_a_kill_at_any_moment_loses_nothing_and_the_next_run_ends_it(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    before = {file: opened(file, BEFORE) for file in files(checkout)}
    left, real = [written], write_private

    def dies(path: Path, text: str) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        real(path, text)

    state = checkout.stack.state
    with monkeypatch.context() as patched:
        patched.setattr(passphrase, "write_private", dies)
        try:
            passphrase.rotate(checkout.root, lambda text: None)
        except KeyboardInterrupt:
            pass
        else:
            assert written > len(files(checkout)), "nothing was killed"
    phrases = [file.read_text() for name in (PASSPHRASE, NEXT_PASSPHRASE) if (file := state / name).exists()]
    for file in files(checkout):
        assert before[file] in [found for one in phrases if (found := tried(file, one)) is not None]
    if (state / NEXT_PASSPHRASE).exists():
        with pytest.raises(StackError, match="make rotate-passphrase ends it"):
            Stack("some", checkout.root).outputs(show_secrets=False)
    passphrase.rotate(checkout.root, lambda text: None)
    after = (state / PASSPHRASE).read_text()
    assert {file: opened(file, after) for file in files(checkout)} == before


def tried(file: Path, phrase: str) -> Any:
    """Return what is secret in a file; None where this is not its passphrase."""
    try:
        return opened(file, phrase)
    except EngineError:
        return None


def test_nothing_is_changed_where_one_state_cannot_be_opened(checkout: Checkout) -> None:
    strange = checkout.stack.state / ".pulumi/stacks/ollamamax/strange.json"
    write(strange, Crypter("another machine's"))
    before = {file: file.read_bytes() for file in files(checkout)}
    with pytest.raises(StackError, match=r"strange\.json: incorrect passphrase"):
        passphrase.rotate(checkout.root, lambda text: None)
    assert {file: file.read_bytes() for file in files(checkout)} == before
    assert (checkout.stack.state / PASSPHRASE).read_text() == BEFORE
    assert not (checkout.stack.state / NEXT_PASSPHRASE).exists()


def test_a_stack_that_is_worked_on_is_waited_for(checkout: Checkout) -> None:
    busy = Backend(checkout.stack.state.as_uri(), "ollamamax", "some")
    with busy.lock(), pytest.raises(StackError, match="currently locked"):
        passphrase.rotate(checkout.root, lambda text: None)
    assert opened(checkout.stack.state / ".pulumi" / STATE, BEFORE) == PLAIN


def test_what_the_pulumi_cli_wrote_is_encrypted_anew(
    embedded: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.secrets.ITERATIONS", ITERATIONS)
    latest = json.loads(REFERENCE.read_text())["checkpoint"]["latest"]
    file = embedded.stack.state / ".pulumi" / STATE
    file.parent.mkdir(parents=True)
    file.write_text(REFERENCE.read_text())
    (embedded.stack.state / PASSPHRASE).write_text(BEFORE)
    passphrase.rotate(embedded.root, lambda text: None)
    renewed = json.loads(file.read_text())["checkpoint"]["latest"]
    after = (embedded.stack.state / PASSPHRASE).read_text()

    def plain(found: dict[str, Any], phrase: str) -> Any:
        crypter = Crypter(phrase, found["secrets_providers"]["state"]["salt"])
        return reveal(thaw(found["resources"], crypter.decrypt))

    assert plain(renewed, after) == plain(latest, BEFORE)


def test_a_passphrase_of_the_environment_is_not_ours_to_change(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", BEFORE)
    with pytest.raises(StackError, match="unset it"):
        passphrase.rotate(checkout.root, lambda text: None)


def test_a_checkout_without_a_passphrase_says_so(embedded: Checkout) -> None:
    with pytest.raises(StackError, match="nothing has been encrypted yet"):
        passphrase.rotate(embedded.root, lambda text: None)
