"""Programs of others: one version of each, however they are had."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rehearsal import programs
from rehearsal.processes import Processes, RehearsalError

SCRIPTS = Path(programs.__file__).parent
SECONDS = 30


def test_kwok_and_its_kinds_are_of_one_version() -> None:
    text = (SCRIPTS / "controlplane" / "build.sh").read_text()
    assert f"KWOK_VERSION={programs.KWOK.version}\n" in text


def test_a_machine_without_go_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RehearsalError, match=r"^Go is missing: install Go 1\.24 or newer, then run"):
        programs.KEDA.folder()


def test_a_machine_without_the_program_and_its_package_is_told_what_to_install(tmp_path: Path) -> None:
    for name in ("bash", "env"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    done = subprocess.run(
        [SCRIPTS / "package.sh", "prometheus", "prometheus", tmp_path],
        env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "error: prometheus is missing: install prometheus, then run the same command again\n"
    )


def test_a_program_that_ends_is_shown_with_what_it_said_last(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    processes.start("broken", ["sh", "-c", "echo no such flag; exit 3"])
    with pytest.raises(RehearsalError, match=r"^broken ended with 3:\nno such flag$"):
        processes.wait("it was not there", lambda: False, SECONDS)
    processes.stop()


def test_a_program_ends_with_what_has_started_it(tmp_path: Path) -> None:
    text = f"""
import pathlib, sys
from rehearsal.processes import Processes
one = Processes(pathlib.Path({str(tmp_path)!r}))
one.start("long", ["sleep", "600"])
print(one._running["long"].pid, flush=True)
sys.stdin.read()
"""
    words = [sys.executable, "-c", text]
    parent = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=SCRIPTS.parent)
    assert parent.stdout
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    Processes(tmp_path).wait("it was not gone", lambda: not Path(f"/proc/{child}/cwd").exists(), SECONDS)


def test_a_program_has_names_of_its_own(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.53.255.1 prometheus.platform.svc\n")
    processes = Processes(tmp_path)
    for name, own, status in (("one", hosts, 0), ("other", None, 2)):
        processes.start(name, ["getent", "hosts", "prometheus.platform.svc"], hosts=own)
        with pytest.raises(RehearsalError, match=f"^{name} ended with {status}:"):
            processes.wait("it did not end", lambda: False, SECONDS)
        processes.stop()
    assert processes.log("one").read_text().split() == ["127.53.255.1", "prometheus.platform.svc"]
    assert processes.log("other").read_text() == ""
