"""The state: readable by the CLI, locked, never lost, never in the clear."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from engine.display import Shown
from engine.errors import EngineError
from engine.secrets import Crypter
from engine.session import Session
from engine.state import Resource, Snapshot, deployment_document, read_deployment
from engine.values import Secret, freeze, thaw
from tests.engine.bench import Bench, Running

ROOT = str(Path(__file__).parents[2])
REFERENCE = Path(__file__).with_name("reference")
WORD = "not-a-real-one"
SECRETIVE = """
config = pulumi.Config()
word = config.require_secret("word")
a = Thing("a", word=word, nested={"list": ["open", word]}, size=1)
b = Thing("b", Opts(additional_secret_outputs=["size"]), size="a-size-to-hide", from_a=a.id)
word.apply(lambda text: pulumi.log.info("the program says " + text))
pulumi.export("word", word)
pulumi.export("mixed", {"word": word, "plain": 1})
"""


def _without(document: dict[str, object], *keys: str) -> dict[str, object]:
    return {key: value for key, value in document.items() if key not in keys}


@pytest.mark.parametrize("name", ["state-after-up", "state-after-change"])
def test_what_the_cli_wrote_is_read_and_written_back_as_it_was(name: str) -> None:
    text = (REFERENCE / f"{name}.json").read_text()
    latest = json.loads(text)["checkpoint"]["latest"]
    crypter = Crypter("reference", latest["secrets_providers"]["state"]["salt"])
    snapshot = read_deployment(latest, lambda value: thaw(value, crypter.decrypt))
    assert snapshot.outputs["token"].value == WORD
    assert list(snapshot.problems()) == []
    seal = partial(freeze, encrypt=crypter.encrypt)
    again = deployment_document(snapshot, crypter.salt, lambda one: one.encode(seal))
    assert json.dumps(_without(again, "manifest")) == json.dumps(_without(latest, "manifest")), (
        "order of keys included"
    )


def test_a_checkpoint_has_what_changed_since_the_one_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bench.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(bench.folder)
    bench.program("pulumi.export('a', 1)")
    session = Session("dev", Path("state/Pulumi.dev.yaml"))
    with session.backend.lock():
        session.open(create=True)
    one, other = (Resource(f"urn:pulumi:dev::demo::a:b:C::{name}", dependencies=["urn:x"]) for name in "ab")

    def written() -> list[dict[str, object]]:
        session.save(Snapshot([one, other]))
        resources: list[dict[str, object]] = bench.latest["resources"]
        return resources

    def all_of_it() -> list[dict[str, object]]:
        return [json.loads(json.dumps(found.encode(lambda value: value))) for found in (one, other)]

    assert written() == all_of_it()
    one.outputs, other.id = {"big": 10**30, "word": "ä"}, "i-1"
    assert written() == all_of_it()
    one.repoint(lambda urns: [*urns, "urn:y"])
    other.outputs = dict(one.outputs)
    assert written() == all_of_it() == written()


def test_secrets_are_sealed_with_their_own_nonce_and_open_again() -> None:
    crypter = Crypter("open sesame")
    one, two = crypter.encrypt("ä word"), crypter.encrypt("ä word")
    assert one != two
    assert Crypter("open sesame", crypter.salt).decrypt(one) == "ä word"
    with pytest.raises(EngineError, match="incorrect passphrase"):
        Crypter("open barley", crypter.salt)


def test_a_resource_before_what_it_needs_is_a_problem() -> None:
    latest = json.loads((REFERENCE / "state-after-up.json").read_text())["checkpoint"]["latest"]
    resources = read_deployment(latest, lambda value: value).resources
    assert "does not come before it" in next(Snapshot(resources[::-1]).problems())


def _secretive(bench: Bench) -> None:
    crypter = Crypter("open sesame")
    config = f"encryptionsalt: {crypter.salt}\nconfig:\n  demo:word:\n    secure: {crypter.encrypt(WORD)}\n"
    (bench.folder / "state/Pulumi.dev.yaml").write_text(config)
    bench.program(SECRETIVE)


def test_no_secret_is_readable_anywhere(bench: Bench) -> None:
    _secretive(bench)
    said = [bench.run("preview", *args) for args in ([], ["--diff"], ["--json"])]
    said.append(bench.up())
    bench.program(
        SECRETIVE.replace("size=1", "size=2").replace('"open"', '"shut"') + 'Thing("c", broken=word)\n'
    )
    said += [bench.run("preview", *args) for args in ([], ["--diff"], ["--json"])]
    said += [bench.up(status=1), bench.run("outputs"), bench.run("outputs", "--json"), bench.run("export")]
    said.append(bench.run("refresh", "--yes", "--diff"))
    for result in said:
        assert WORD not in result.stdout + result.stderr
    files = [file for file in (bench.folder / "state").rglob("*") if file.is_file()]
    assert len(files) > 5
    for file in files:
        assert WORD not in file.read_text(), file
    assert any("[secret]" in result.stdout for result in said)


def test_a_name_that_is_equal_to_a_secret_is_shown(bench: Bench) -> None:
    bench.program('Thing("prometheus", token=pulumi.Output.secret("prometheus"))')
    assert " +  fake:index:Thing prometheus created" in bench.run("up", "--yes").stdout


def test_of_a_providers_sealed_copy_of_inputs_only_what_was_secret_in_them_is_hidden() -> None:
    inputs = {"version": "0.1.0", "password": Secret(WORD)}
    shown = Shown(quiet=True, planned=False, live=False)
    shown.learn(inputs, {"__inputs": Secret(inputs)})
    assert shown.masked(f"0.1.0 {WORD}") == "0.1.0 [secret]"


def test_secrets_are_shown_on_request_and_an_export_comes_back(bench: Bench) -> None:
    _secretive(bench)
    bench.up()
    assert "ciphertext" in bench.resources["b"]["outputs"]["size"]
    shown = json.loads(bench.run("outputs", "--json", "--show-secrets").stdout)
    assert shown == {"word": WORD, "mixed": {"word": WORD, "plain": 1}}
    before = bench.latest["resources"]
    exported = bench.run("export").stdout
    assert WORD not in exported
    (bench.folder / "exported.json").write_text(exported)
    bench.state_file.unlink()
    (bench.folder / "state/Pulumi.dev.yaml").write_text("config:\n  demo:word: another\n")
    bench.run("preview")  # makes a salt
    assert bench.run("import", "--file", "exported.json").stdout == "Import complete.\n"
    assert bench.latest["resources"] == before
    assert json.loads(bench.run("outputs", "--json", "--show-secrets").stdout) == shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not an exported state"),
        (
            '{"deployment": {"resources": [{"urn": "urn:pulumi:dev::other::a:b:C::x", "type": "a:b:C"}]}}',
            "belongs to",
        ),
        (
            '{"deployment": {"resources": [{"urn": "urn:pulumi:dev::demo::a:b:C::x", "type": "a:b:C", '
            '"parent": "urn:pulumi:dev::demo::a:b:C::y"}]}}',
            "which does not come before it",
        ),
    ],
)
def test_an_import_that_would_break_the_stack_is_refused(bench: Bench, text: str, message: str) -> None:
    bench.program('Thing("a")')
    bench.up()
    before = bench.state_file.read_text()
    (bench.folder / "bad.json").write_text(text)
    assert message in bench.run("import", "--file", "bad.json", status=1).stderr
    assert bench.state_file.read_text() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"PULUMI_CONFIG_PASSPHRASE": "wrong"}, "incorrect passphrase"),
        ({"PULUMI_CONFIG_PASSPHRASE": None}, "passphrase must be set with PULUMI_CONFIG_PASSPHRASE or"),
        ({"PULUMI_BACKEND_URL": "s3://bucket"}, "needs the Pulumi CLI"),
    ],
)
def test_a_wrong_environment_is_one_clear_message(
    bench: Bench, change: dict[str, str | None], message: str
) -> None:
    bench.program('Thing("a")')
    bench.up()
    before = bench.state_file.read_text()
    bench.env = {key: value for key, value in (bench.env | change).items() if value is not None}
    result = bench.up(status=1)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert bench.state_file.read_text() == before


def test_a_passphrase_file_will_do(bench: Bench) -> None:
    (bench.folder / "passphrase").write_text("open sesame\n")
    del bench.env["PULUMI_CONFIG_PASSPHRASE"]
    bench.env["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(bench.folder / "passphrase")
    bench.program('Thing("a")')
    bench.up()


def test_a_new_stack_s_salt_goes_into_the_named_config_file_alone(bench: Bench) -> None:
    bench.program('pulumi.export("greeting", pulumi.Config().require("greeting"))')
    (bench.folder / "Pulumi.dev.yaml").write_text("config: {}\n")
    (bench.folder / "state/Pulumi.dev.yaml").write_text(
        "config:\n  greeting: hello\n  demo:more: [1, {a: b}]\n"
    )
    bench.up()
    assert (bench.folder / "Pulumi.dev.yaml").read_text() == "config: {}\n"
    assert (bench.folder / "state/Pulumi.dev.yaml").read_text().startswith("encryptionsalt: v1:")
    assert json.loads(bench.run("outputs", "--json").stdout) == {"greeting": "hello"}


@pytest.mark.parametrize(
    "text", ["", "{", '{"version": 3}', '{"version": 3, "checkpoint": {"latest": {"resources": [1]}}}']
)
def test_a_corrupted_state_file_names_itself_and_the_backup(bench: Bench, text: str) -> None:
    bench.program('Thing("a")')
    bench.up()
    bench.state_file.write_text(text)
    message = bench.up(status=1).stderr
    assert f"{bench.state_file}: the state file is corrupted" in message
    backup = Path(message.strip().rpartition(" ")[2])
    bench.state_file.write_bytes(backup.read_bytes())
    bench.up("--expect-no-changes")


@pytest.fixture
def small_disk(bench: Bench) -> Iterator[Path]:
    """The state's folder on a file system of 256 KiB."""
    folder = bench.folder / "state"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def _fill(file: FileIO) -> None:
    with pytest.raises(OSError, match="No space left"):
        for _ in iter(lambda: file.write(bytes(4096)), 0):
            pass


def test_a_full_disk_is_one_clear_error_and_the_old_state_stays(bench: Bench, small_disk: Path) -> None:
    bench.program('Thing("a")')
    bench.up()
    before = bench.state_file.read_text()
    bench.program('Thing("a")\nThing("b")')
    with (small_disk / "filler").open("wb", buffering=0) as filler:
        _fill(filler)
        result = bench.up(status=1)
    assert (result.stdout + result.stderr).count("No space left on device; the old state is intact") == 1
    assert bench.state_file.read_text() == before
    (small_disk / "filler").unlink()
    assert "+ 1 created" in bench.up().stdout


def test_a_disk_that_fills_up_midway_loses_nothing(bench: Bench, small_disk: Path) -> None:
    filler = small_disk / "filler"

    def fill(operation: str, name: str) -> None:
        with filler.open("wb", buffering=0) as out:
            _fill(out)

    bench.cloud.after = fill
    bench.program('a = Thing("a")\nThing("b", size=a.link)')
    result = bench.up(status=1)
    assert "No space left on device; the old state is intact" in result.stdout
    assert json.loads(bench.state_file.read_text())["checkpoint"]["latest"]["pending_operations"]
    filler.unlink()
    bench.cloud.after = lambda operation, name: None
    bench.up()
    assert len(bench.cloud.things()) == 2
    assert {one["id"] for one in bench.resources.values()} == set(bench.cloud.things())


def test_a_read_only_state_folder_is_one_clear_error(bench: Bench, small_disk: Path) -> None:
    bench.program('Thing("a")')
    bench.up()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    result = bench.up(status=1)
    assert "Read-only file system; the old state is intact" in result.stderr
    assert result.stderr.count("\n") == 1
    assert "a" in bench.run("export").stdout, "reading goes on"


@pytest.mark.parametrize("words", [["export"], ["outputs", "--json"], ["preview", "--json"]])
def test_a_document_that_finds_no_room_is_an_error(bench: Bench, words: list[str]) -> None:
    bench.program('pulumi.export("size", Thing("a").size)')
    bench.up()
    with Path("/dev/full").open("w") as full:
        process = _process(bench, *words, stdout=full, stderr=subprocess.PIPE)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, b"error: [Errno 28] No space left on device\n")


def _process(bench: Bench, *words: str, **how: Any) -> subprocess.Popen[bytes]:
    """Start a command as users do, in a process of its own."""
    stack = ["--stack", "dev", "--config-file", "state/Pulumi.dev.yaml"]
    command = [sys.executable, "-m", "engine", *words, *stack]
    env = bench.env | {"PYTHONPATH": ROOT, "PYTHONUNBUFFERED": ""}
    return subprocess.Popen(command, cwd=bench.folder, env=env, **how)


def _gate(bench: Bench) -> tuple[threading.Event, threading.Event]:
    """Let the first operation, which sets the first event, stay under way until the second is set."""
    reached, go = threading.Event(), threading.Event()

    def before(operation: str, name: str) -> None:
        reached.set()
        go.wait(30)

    bench.cloud.before = before
    return reached, go


def _hold(bench: Bench) -> tuple[Running, threading.Event]:
    """Start an `up` that stays in its first operation until the event is set."""
    reached, go = _gate(bench)
    running = bench.start("up", "--yes")
    assert reached.wait(30)
    return running, go


def test_of_two_ups_the_second_is_refused_and_told_by_whom(bench: Bench) -> None:
    bench.program('Thing("a")')
    running, go = _hold(bench)
    message = bench.up(status=1).stderr
    assert f"locked by root@{socket.gethostname()} (pid {running.pid})" in message
    assert "cancel" in message
    go.set()
    assert running.wait().status == 0
    assert bench.up("--expect-no-changes").status == 0
    assert list((bench.folder / "state/.pulumi/locks").rglob("*.json")) == []


def test_the_lock_of_a_dead_process_is_taken_over(bench: Bench) -> None:
    bench.program('Thing("a")')
    running, go = _hold(bench)
    os.kill(running.pid, 9)
    assert running.wait().status == -9
    go.set()
    bench.cloud.before = lambda operation, name: None
    assert f"(pid {running.pid})" in bench.up().stderr


def test_a_lock_from_another_machine_holds_until_it_is_cancelled(bench: Bench) -> None:
    bench.program('Thing("a")')
    bench.up()
    lock = bench.folder / "state/.pulumi/locks/organization/demo/dev/x.json"
    lock.write_text(
        '{"pid": 1, "username": "ann", "hostname": "elsewhere", "timestamp": "2026-01-01T00:00:00Z"}'
    )
    assert "locked by ann@elsewhere (pid 1)" in bench.up(status=1).stderr
    assert "removed: 1" in bench.run("cancel").stdout
    bench.up()


@pytest.mark.parametrize("number", [2, 15])
def test_an_interrupted_up_finishes_what_is_in_flight(bench: Bench, number: int) -> None:
    bench.program('a = Thing("a")\nThing("b", size=a.link)')
    running, go = _hold(bench)
    os.kill(running.pid, number)
    deadline = time.monotonic() + 20
    while "interrupted" not in running.said() and time.monotonic() < deadline:
        time.sleep(0.02)
    go.set()
    result = running.wait()
    assert result.status == 130
    assert list(bench.resources) == ["a"], "what was under way is recorded, nothing else was begun"
    assert "pending_operations" not in bench.latest
    bench.cloud.before = lambda operation, name: None
    assert "+ 1 created" in bench.up().stdout


@pytest.mark.parametrize("reader", ["pipe", "terminal", "terminal in control"])
def test_an_up_that_nobody_reads_any_more_ends_as_an_interrupted_one_does(bench: Bench, reader: str) -> None:
    bench.program('a = Thing("a")\nThing("b", size=a.link)')
    reached, go = _gate(bench)
    reading, writing = os.pipe() if reader == "pipe" else os.openpty()
    running = _process(bench, "up", "--yes", stdout=writing, stderr=writing)
    try:
        assert reached.wait(30)
        os.close(writing)
        os.close(reading)
        if reader == "terminal in control":
            running.send_signal(signal.SIGHUP)  # as the kernel does when it goes
            output = Path(f"/proc/{running.pid}/fd/1")
            with contextlib.suppress(FileNotFoundError):  # it has ended: what follows says how
                while output.readlink() != Path(os.devnull):
                    time.sleep(0.02)
        go.set()
        assert running.wait(30) == 130
    finally:
        running.kill()
        running.wait()
    assert list(bench.resources) == ["a"], "what was under way is recorded, nothing else was begun"
    assert "pending_operations" not in bench.latest
    assert list((bench.folder / "state/.pulumi/locks").rglob("*.json")) == []


def test_history_and_backups_are_kept_for_the_cli(bench: Bench) -> None:
    bench.program('Thing("a")')
    bench.up()
    root = bench.folder / "state/.pulumi"
    assert (root / "meta.yaml").read_text() == "version: 1\n"
    history = json.loads(next((root / "history/demo/dev").glob("*.history.json")).read_text())
    assert (history["kind"], history["result"]) == ("update", "succeeded")
    assert history["resourceChanges"] == {"create": 2}
    assert len(list((root / "history/demo/dev").glob("*.checkpoint.json"))) == 1
    assert len(list((root / "backups/demo/dev").glob("dev.*.json"))) == 1
