"""What a restore refuses, each time before anything is touched, and what it brings back of a state."""

import io
import json
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import backup, restore, volumes
from ops.stack import Stack, StackError
from tests.ops.conftest import SETTINGS, Checkout
from tests.ops.test_archive import nothing, written

PYPROJECT = '[project]\nversion = "0.1.0"\n'


@pytest.fixture
def empty(embedded: Checkout) -> Checkout:
    """Return a checkout whose stack has a passphrase and nothing else."""
    (embedded.root / "pyproject.toml").write_text(PYPROJECT)
    embedded.stack.state.mkdir()
    (embedded.stack.state / "passphrase").write_text("of the tests")
    return embedded


def refused(stack: Stack, file: Path) -> str:
    """Return why nothing was restored."""
    with pytest.raises(StackError) as caught:
        restore.restore(stack, file, lambda _: None, nothing)
    return str(caught.value)


@pytest.mark.parametrize(("target", "where"), [("aws", "AWS"), ("kubernetes", "a cluster")])
def test_what_is_not_on_this_machine_is_backed_up_where_it_is(
    embedded: Checkout, tmp_path: Path, target: str, where: str
) -> None:
    embedded.stack.settings_file.write_text(f"config:\n  ollamamax:target: {target}\n")
    why = f"stack some keeps its data on {where}, not here: docs/backup.md says how that is backed up"
    assert refused(embedded.stack, tmp_path / "a.tar") == why
    with pytest.raises(StackError) as caught:
        backup.backup(embedded.stack, None, lambda _: None, nothing)
    assert str(caught.value) == why


def test_an_archive_of_another_stack_is_named(empty: Checkout, tmp_path: Path) -> None:
    file = written(tmp_path / "a.tar", stack="other")
    assert refused(empty.stack, file) == "the archive is of stack other: make restore STACK=other"


@pytest.mark.parametrize("version", ["0.1.1", "0.2.0", "0.10.0", "1.0.0"])
def test_an_archive_of_a_later_release_is_refused(empty: Checkout, tmp_path: Path, version: str) -> None:
    file = written(tmp_path / "a.tar", version=version)
    assert refused(empty.stack, file) == (
        f"the archive is of version {version}, and this is 0.1.0: check out {version}"
    )


def test_without_the_passphrase_nothing_is_begun_and_none_is_made(empty: Checkout, tmp_path: Path) -> None:
    passphrase = empty.stack.state / "passphrase"
    passphrase.unlink()
    assert refused(empty.stack, written(tmp_path / "a.tar")) == (
        "the archive's secrets are encrypted with the passphrase of the machine that it is from: put it into "
        f"{passphrase}, or into PULUMI_CONFIG_PASSPHRASE"
    )
    assert not passphrase.exists()


@pytest.fixture
def volume(empty: Checkout) -> Iterator[str]:
    """Make a volume that belongs to the stack ``some``."""
    name = f"ollamamax-tests-{uuid.uuid4().hex[:8]}"
    subprocess.run(
        ["/usr/bin/docker", "volume", "create", "--label", "ollamamax.stack=some", name], check=True
    )
    yield name
    subprocess.run(["/usr/bin/docker", "volume", "rm", "--force", name], check=True)


def test_a_stack_that_has_anything_is_not_overwritten(
    empty: Checkout, tmp_path: Path, volume: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty.stack.prepare()
    checkpoint = empty.stack.state / ".pulumi/stacks/ollamamax/some.json"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("{}")
    state = {"deployment": {"resources": [{"custom": True}, {"custom": False}, {"custom": True}]}}
    monkeypatch.setenv("ANSWER", json.dumps(state))
    assert refused(empty.stack, written(tmp_path / "a.tar")) == (
        "stack some is not empty (volumes: 1, resources in its state: 2), and a restore overwrites nothing: "
        "make backup STACK=some if that is worth keeping, then make down STACK=some DATA=1"
    )


def test_both_engines_are_asked_for_states_in_their_own_words(
    embedded: Checkout, with_cli: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSWER", "{}")
    with_cli.stack.prepare()
    with_cli.stack.exported()
    assert with_cli.words[:3] == ["--non-interactive", "stack", "export"]
    with_cli.stack.load({"deployment": {}}, f"{SETTINGS}encryptionsalt: v1:of-the-archive\n")
    assert with_cli.words[:4] == ["--non-interactive", "stack", "import", "--file"]
    assert "--config-file" not in with_cli.words
    (with_cli.root.parent / "bin" / "pulumi").unlink()
    embedded.stack.exported()
    assert embedded.words[0] == "export"
    embedded.stack.load({"deployment": {}}, f"{SETTINGS}encryptionsalt: v1:of-the-archive\n")
    assert embedded.words[:2] == ["import", "--file"]
    assert "--config-file" in embedded.words
    assert embedded.stack.config_file.read_text() == f"{SETTINGS}encryptionsalt: v1:of-the-archive\n"
    assert not list(embedded.stack.state.glob("tmp*")), "no copy of the state is left"


def test_a_volume_comes_back_with_owners_and_modes(volume: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with volumes.filling(volume) as tar:
        for name, kind, mode in ((".", tarfile.DIRTYPE, 0o700), ("kept", tarfile.REGTYPE, 0o640)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.uid, entry.gid = kind, mode, 10001, 0
            entry.size = 4 if kind == tarfile.REGTYPE else 0
            tar.addfile(entry, io.BytesIO(b"text"))
    with volumes.content_of(volume, ".") as tar:
        found = {one.name: (one.uid, one.gid, one.mode, tar.extractfile(one)) for one in tar}
    assert {name: rest[:3] for name, rest in found.items()} == {
        ".": (10001, 0, 0o700),
        "./kept": (10001, 0, 0o640),
    }


def test_what_a_volume_does_not_have_is_named(volume: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with (
        pytest.raises(StackError, match=rf"^volume {volume} could not be read: tar: none: Cannot stat"),
        volumes.content_of(volume, "none") as tar,
    ):
        list(tar)


def test_the_manifest_of_a_model_names_its_blobs() -> None:
    manifest = {"config": {"digest": "sha256:a"}, "layers": [{"digest": "sha256:b"}, {"digest": "sha256:c"}]}
    assert backup.blobs_of(json.dumps(manifest).encode()) == ["sha256-a", "sha256-b", "sha256-c"]
    for damaged in (b"", b"[]", b"{}", b'{"config": {}, "layers": []}'):
        with pytest.raises(StackError, match="manifest is damaged"):
            backup.blobs_of(damaged)
