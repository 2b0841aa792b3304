"""The releases that are kept: a copy of what deploys them, numbered, and removed when too old."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components import naming
from ops.delivery.releases import PROGRAM, Releases, digest
from ops.stack import ROOT, Stack, StackError


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A checkout with the smallest program that there is."""
    root = tmp_path / "checkout"
    for name in PROGRAM:
        if (ROOT / name).is_dir():
            (root / name).mkdir(parents=True)
        else:
            root.mkdir(exist_ok=True)
            (root / name).write_text(name)
    (root / "stacks" / "Pulumi.some.yaml").write_text(
        "config:\n  ollamamax:target: docker\n  ollamamax:release: {keep: 2}\n"
    )
    (root / ".state").mkdir()
    (root / ".venv").mkdir()
    return Stack("some", root)


def kept(releases: Releases, number: int) -> None:
    """Write down that a release with a change of its own ran."""
    (releases.stack.root / "templates" / "a").write_text(str(number))
    record = releases.begin("0.1.0")
    assert record.number == number
    releases.keep(record, {"gateway": f"ollamamax-gateway:{number}@sha256:0"})


def test_a_release_has_the_program_as_it_was_with_its_settings(stack: Stack) -> None:
    releases = Releases(stack)
    kept(releases, 1)
    (stack.root / "templates" / "a").write_text("changed since")
    first = releases.find(1)
    assert first.images == {"gateway": "ollamamax-gateway:1@sha256:0"}
    of = releases.of(first)
    assert (of.root / "templates" / "a").read_text() == "1"
    assert of.settings_file.read_text() == stack.settings_file.read_text()
    assert of.state.resolve() == stack.state.resolve(), "all releases have one state"
    assert digest(of.root) == first.digest != digest(stack.root)


def test_the_images_of_a_copy_are_those_of_the_checkout(tmp_path: Path) -> None:
    for image in ("gateway", "edge", "prometheus"):
        copy = shutil.copytree(ROOT / "docker" / image, tmp_path / image, symlinks=True)
        assert naming.content_hash(copy) == naming.content_hash(ROOT / "docker" / image)


def test_so_many_are_kept_as_the_settings_say_and_numbers_go_on(stack: Stack) -> None:
    releases = Releases(stack)
    for number in (1, 2, 3, 4):
        kept(releases, number)
    assert [one.number for one in releases.kept] == [3, 4]
    with pytest.raises(StackError, match="release 1 of stack some is not kept; there are: 3, 4"):
        releases.find(1)


def test_the_one_that_runs_is_that_which_was_deployed_last(stack: Stack) -> None:
    releases = Releases(stack)
    kept(releases, 1)
    kept(releases, 2)
    second = releases.running
    assert second
    assert second.number == 2
    releases.keep(releases.before(second), {})
    first = releases.running
    assert first
    assert first.number == 1
    with pytest.raises(StackError, match="no release before 1"):
        releases.before(first)


def test_one_that_is_tried_is_found_after_its_command_has_died(stack: Stack) -> None:
    record = Releases(stack).begin("0.1.0")
    Releases(stack).write(record.model_copy(update={"percent": 25}))
    left = Releases(stack).tried
    assert left
    assert (left.number, left.percent, left.held) == (1, 25, False)
    Releases(stack).forget(left)
    assert Releases(stack).all == []


def test_two_commands_at_once_are_one_too_many_and_a_dead_one_holds_nothing(stack: Stack) -> None:
    releases = Releases(stack)
    holds = (
        "import sys\nfrom pathlib import Path\nfrom ops.delivery.releases import Releases, Stack\n"
        "with Releases(Stack('some', Path(sys.argv[1]))).locked():\n    print(flush=True)\n    input()"
    )
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", holds, str(stack.root)]
    with subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(StackError, match=f"is being released by process {other.pid}"), releases.locked():
            pytest.fail("two at once")
        other.kill()
    with releases.locked():
        assert (releases.folder / "lock").read_text() == str(os.getpid())


def test_a_damaged_record_is_named_with_the_way_out(stack: Stack) -> None:
    releases = Releases(stack)
    kept(releases, 1)
    (releases.folder / "1" / "release.json").write_text("{}")
    with pytest.raises(StackError, match=r"release\.json is damaged: remove the folder"):
        _ = releases.all
