"""A stack's state folder and the words for its engine, with an engine that records what it is asked."""

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ops.stack import Stack, StackError
from tests.ops.conftest import SETTINGS, Checkout

ROOT = Path(__file__).parents[2]
SLOW_TO_END = """
import signal, sys, time

told = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: told.append(1))
print("under way", flush=True)
while not told:
    time.sleep(0.01)
time.sleep(1)
print("recorded" if len(told) == 1 else "told more than once", flush=True)
sys.exit(130)
"""
"""An engine that takes its time to end when it is interrupted."""
UP = "import sys, pathlib, ops.stack; ops.stack.Stack('some', pathlib.Path(sys.argv[1])).up()"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_state_is_for_its_owner_alone(embedded: Checkout) -> None:
    embedded.stack.prepare()
    assert mode(embedded.stack.state) == 0o700
    assert mode(embedded.stack.state / "passphrase") == 0o600
    assert mode(embedded.stack.config_file) == 0o600


def test_the_passphrase_is_long_and_made_once(embedded: Checkout) -> None:
    embedded.stack.prepare()
    passphrase = (embedded.stack.state / "passphrase").read_text()
    assert len(passphrase) >= 32
    embedded.stack.prepare()
    assert (embedded.stack.state / "passphrase").read_text() == passphrase


def test_a_passphrase_of_the_environment_is_used_and_none_is_made(
    embedded: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "mine")
    embedded.stack.prepare()
    embedded.stack.up()
    assert not (embedded.stack.state / "passphrase").exists()
    (call,) = embedded.calls
    assert call["env"]["PULUMI_CONFIG_PASSPHRASE"] == "mine"
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in call["env"]


def test_the_tracked_file_stays_as_it_is(embedded: Checkout) -> None:
    embedded.stack.prepare()
    assert embedded.stack.settings_file.read_text() == SETTINGS
    assert embedded.stack.config_file.read_text() == SETTINGS


def test_edited_settings_are_taken_and_the_salt_is_kept(embedded: Checkout) -> None:
    embedded.stack.prepare()
    with embedded.stack.config_file.open("a") as file:
        file.write("encryptionsalt: v1:from-the-engine\n")
    edited = SETTINGS + "  ollamamax:portOffset: 100\n"
    embedded.stack.settings_file.write_text(edited)
    embedded.stack.prepare()
    assert embedded.stack.config_file.read_text() == f"{edited}encryptionsalt: v1:from-the-engine\n"


def test_a_salt_of_the_stack_file_itself_is_there_once(embedded: Checkout) -> None:
    settings = f"{SETTINGS}encryptionsalt: v1:of-its-secrets\n"
    embedded.stack.settings_file.write_text(settings)
    for _ in range(2):
        embedded.stack.prepare()
        assert embedded.stack.config_file.read_text() == settings


def test_the_cli_makes_a_new_stack_without_touching_the_checkout(with_cli: Checkout) -> None:
    with_cli.stack.prepare()
    (call,) = with_cli.calls
    assert call["words"][:4] == ["--non-interactive", "stack", "init", "some"]
    assert call["words"][call["words"].index("--cwd") + 1] != str(with_cli.root)
    assert with_cli.stack.config_file.read_text() == f"{SETTINGS}encryptionsalt: v1:from-the-cli\n"
    assert with_cli.stack.settings_file.read_text() == SETTINGS


def test_a_stack_that_exists_is_not_made_again(with_cli: Checkout) -> None:
    checkpoint = with_cli.stack.state / ".pulumi/stacks/ollamamax/some.json"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("{}")
    with_cli.stack.prepare()
    assert not with_cli.record.exists()


def test_an_unknown_stack_is_refused_with_those_that_are_there(embedded: Checkout) -> None:
    with pytest.raises(StackError) as refused:
        Stack("nope", embedded.root).prepare()
    assert str(refused.value) == "STACK=nope: no Pulumi.nope.yaml in stacks/; there are: other, some"
    assert not embedded.stack.state.exists()


def test_a_state_that_cannot_be_written_is_told_with_its_place(embedded: Checkout) -> None:
    embedded.stack.state.write_text("a file where the folder should be")
    with pytest.raises(StackError) as failed:
        embedded.stack.prepare()
    state = embedded.stack.state
    assert str(failed.value) == (
        f"cannot write {state}: File exists; the state is kept in {state}: "
        "make it a folder that can be written, with space left"
    )


def test_the_cli_is_used_where_it_is(with_cli: Checkout) -> None:
    assert with_cli.stack.engine_name == f"the Pulumi CLI ({shutil.which('pulumi')})"


def test_the_cli_finds_the_uv_that_setup_has_installed(with_cli: Checkout) -> None:
    cache = 'eval "$(/bin/grep "^readonly CACHE=" ops/setup.sh)"; echo "$CACHE/uv/bin"'
    place = subprocess.check_output(["/bin/bash", "-c", cache], cwd=Path(__file__).parents[2], text=True)
    with_cli.stack.up()
    assert with_cli.calls[-1]["env"]["PATH"].split(":")[-1] == place.strip()


def test_the_embedded_engine_is_used_elsewhere(embedded: Checkout) -> None:
    assert embedded.stack.engine_name == "the embedded engine (no pulumi on the PATH)"


def test_both_engines_work_on_the_same_files(embedded: Checkout, with_cli: Checkout) -> None:
    with_cli.stack.up()
    cli = Path(shutil.which("pulumi") or "")
    cli.unlink()
    embedded.stack.up()
    for call in embedded.calls:
        words, env = call["words"], call["env"]
        assert words[words.index("--stack") + 1] == "some"
        assert words[words.index("--config-file") + 1] == str(embedded.root / ".state/Pulumi.some.yaml")
        assert env["PULUMI_BACKEND_URL"] == f"file://{embedded.root}/.state"
        assert env["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(embedded.root / ".state/passphrase")
        assert call["cwd"] == str(embedded.root)
    assert [call["words"][0] for call in embedded.calls] == ["--non-interactive", "up"]


def test_up_asks_nothing(embedded: Checkout) -> None:
    embedded.stack.up()
    assert embedded.words[:2] == ["up", "--yes"]


def test_preview_changes_nothing(embedded: Checkout) -> None:
    embedded.stack.preview()
    assert embedded.words[:2] == ["preview", "--diff"]


def test_policies_are_told_what_is_given_free_beside_what_the_stack_sets(embedded: Checkout) -> None:
    levels = {"multi-zone": "advisory", "blast-radius": "advisory"}
    own = levels | {"deletion-protection": {"allowReplace": ["a"]}}
    (embedded.root / "stacks/policies.some.json").write_text(json.dumps(own))
    embedded.stack.settings_file.write_text(f"{SETTINGS}  ollamamax:policy: {{allowReplace: [b]}}\n")
    embedded.stack.prepare()
    embedded.stack.preview()
    words = embedded.words
    assert json.loads(Path(words[words.index("--policy-pack-config") + 1]).read_text()) == {
        "multi-zone": "advisory",
        "blast-radius": {"enforcementLevel": "advisory", "allowReplace": ["b"]},
        "deletion-protection": {"allowReplace": ["a", "b"]},
        "force-destroy": {"allowReplace": ["b"]},
    }


def test_a_preview_can_be_read_by_a_program(embedded: Checkout) -> None:
    embedded.stack.preview(as_json=True)
    assert embedded.words[:2] == ["preview", "--json"]


def test_what_is_simulated_is_done_by_the_embedded_engine_all_along(with_cli: Checkout) -> None:
    with_cli.stack.settings_file.write_text("config:\n  ollamamax:target: kubernetes\n")
    stack = Stack("some", with_cli.root, simulate=True)
    stack.up()
    stack.preview()
    stack.destroy(data=True)
    assert [call["words"][0] for call in with_cli.calls] == ["up", "preview", "destroy"]
    assert all("--simulate" in call["words"] for call in with_cli.calls)


def test_what_runs_on_this_machine_is_not_simulated(embedded: Checkout) -> None:
    with pytest.raises(StackError, match=r"^stack some runs on this machine: nothing of it is simulated$"):
        Stack("some", embedded.root, simulate=True).check_possible(changing=True)


@pytest.mark.parametrize("changing", [True, False])
def test_images_reach_a_registry_by_the_cli_alone(embedded: Checkout, changing: bool) -> None:
    text = "config: {ollamamax:target: kubernetes, ollamamax:kubernetes: {registry: example.org/a}}\n"
    embedded.stack.settings_file.write_text(text)
    with pytest.raises(
        StackError, match=r"^stack some pushes its images to kubernetes\.registry, which only"
    ):
        embedded.stack.check_possible(changing=changing)
    Stack("some", embedded.root, simulate=True).check_possible(changing=changing)


def test_a_cloud_can_be_looked_at_without_the_cli(embedded: Checkout) -> None:
    embedded.stack.settings_file.write_text("config:\n  ollamamax:target: aws\n")
    embedded.stack.check_possible(changing=False)


@pytest.mark.parametrize(
    ("env", "lack"),
    [
        ({}, "there are no credentials for it"),
        ({"AWS_PROFILE": "gone"}, r"The config profile \(gone\) could not be found"),
    ],
)
def test_a_cloud_cannot_be_reached_without_credentials(
    with_cli: Checkout, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], lack: str
) -> None:
    with_cli.stack.settings_file.write_text(
        'config: {ollamamax:target: aws, ollamamax:aws: {accountId: "444455556666"}}\n'
    )
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    way_out = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, of account 444455556666"
    for changing in (True, False):
        with pytest.raises(StackError, match=f"^stack some is on AWS, and {lack}: {way_out}"):
            with_cli.stack.check_possible(changing=changing)
    Stack("some", with_cli.root, simulate=True).check_possible(changing=True)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a key")
    with_cli.stack.check_possible(changing=True)


def test_a_cloud_stack_that_does_not_go_down_is_told_how_to_give_it_free(
    embedded: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.stack.settings_file.write_text("config:\n  ollamamax:target: aws\n")
    monkeypatch.setenv("STATUS", "1")
    with pytest.raises(StackError, match=r'set policy\.allowReplace to \["\*"\] in stacks/Pulumi'):
        embedded.stack.destroy(data=True)


def test_the_cli_looks_for_what_is_protected_before_it_deletes_anything(with_cli: Checkout) -> None:
    with_cli.stack.destroy(data=True)
    assert "--skip-preview" not in with_cli.words


def test_the_cli_asks_the_policies_before_it_makes_anything_in_a_cloud(with_cli: Checkout) -> None:
    with_cli.stack.up()
    assert "--skip-preview" in with_cli.words
    with_cli.stack.settings_file.write_text(
        'config: {ollamamax:target: aws, ollamamax:aws: {accountId: "444455556666", region: eu-central-1}}\n'
    )
    with_cli.stack.up()
    assert "--skip-preview" not in with_cli.words


def test_down_with_data_destroys_everything(embedded: Checkout) -> None:
    embedded.stack.destroy(data=True)
    assert "--target" not in embedded.words


def test_down_destroys_what_runs_alone(embedded: Checkout) -> None:
    embedded.stack.destroy(data=False)
    words = embedded.words
    targets = [words[index + 1] for index, word in enumerate(words) if word == "--target"]
    kinds = {target.split("**")[1].split("::")[0] for target in targets}
    assert kinds == {"docker:index/container:Container", "docker:index/network:Network"}


@pytest.mark.parametrize("show", [True, False])
def test_outputs_are_read_from_either_engine(
    embedded: Checkout, monkeypatch: pytest.MonkeyPatch, show: bool
) -> None:
    monkeypatch.setenv("ANSWER", '{"url": "https://localhost:8443"}')
    assert embedded.stack.outputs(show_secrets=show) == {"url": "https://localhost:8443"}
    assert embedded.words[:2] == ["outputs", "--json"]
    assert ("--show-secrets" in embedded.words) == show


def test_the_cli_has_another_word_for_outputs(with_cli: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWER", "{}")
    with_cli.stack.outputs(show_secrets=False)
    assert with_cli.words[:4] == ["--non-interactive", "stack", "output", "--json"]


def test_a_failing_engine_is_told_with_the_stack(embedded: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUS", "3")
    with pytest.raises(StackError) as failed:
        embedded.stack.up()
    assert str(failed.value) == "up of stack some failed; the messages above say why"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_engine_that_is_interrupted_is_waited_for(embedded: Checkout, number: signal.Signals) -> None:
    """Ctrl-C reaches the engine from the terminal, which knows the group; make's SIGTERM does not."""
    (embedded.root / "engine" / "__main__.py").write_text(SLOW_TO_END)
    words = [sys.executable, "-c", UP, str(embedded.root)]
    running = subprocess.Popen(
        words, cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout
        assert running.stdout.readline() == "under way\n"
        (os.killpg if number == signal.SIGINT else os.kill)(running.pid, number)
        out, err = running.communicate(timeout=30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
    assert out == "recorded\n"
    assert "up of stack some failed" in err
    assert running.returncode == 1


def test_a_file_that_only_its_owner_may_read_is_never_wider_meanwhile(embedded: Checkout) -> None:
    before = os.umask(0)
    try:
        embedded.stack.prepare()
    finally:
        os.umask(before)
    assert {mode(path) for path in embedded.stack.state.iterdir()} == {0o600}


def test_up_and_remove_keep_to_what_they_are_told(embedded: Checkout) -> None:
    embedded.stack.prepare()
    embedded.stack.up("urn:a", "urn:b")
    at = embedded.words.index("up")
    assert embedded.words[at : at + 6] == ["up", "--yes", "--target", "urn:a", "--target", "urn:b"]
    embedded.stack.remove("urn:a")
    at = embedded.words.index("destroy")
    assert embedded.words[at : at + 4] == ["destroy", "--yes", "--target", "urn:a"]


def test_settings_beside_the_stack_file_are_the_engines_alone(embedded: Checkout) -> None:
    replace(embedded.stack, beside={"canary": {"replicas": 2}}).prepare()
    found = yaml.safe_load(embedded.stack.config_file.read_text())
    assert found["config"] == {"ollamamax:target": "docker", "ollamamax:canary": {"replicas": 2}}
    assert embedded.stack.settings_file.read_text() == SETTINGS
    embedded.stack.prepare()
    assert "canary" not in embedded.stack.config_file.read_text(), "and gone with the next command"
