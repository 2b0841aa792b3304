"""The control plane that the tests and the rehearsal run on: built once, and ended with what started it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rehearsal.controlplane import ControlPlane, build
from rehearsal.processes import RehearsalError
from tests.kubernetes.stack import get, wait_for

SCRIPT = Path(__file__).parents[2] / "rehearsal" / "controlplane" / "build.sh"


def test_it_is_the_pinned_version_with_a_node_that_is_ready(plane: ControlPlane) -> None:
    version = plane.request("get", "/version")
    assert version["gitVersion"] in plane.binaries.name
    assert (version["major"], version["minor"]) == ("1", version["gitVersion"].split(".")[1])

    def ready() -> bool:
        conditions = get(plane, "/api/v1/nodes/node-1")["status"].get("conditions", [])
        return ("Ready", "True") in [(one["type"], one["status"]) for one in conditions]

    wait_for(ready)


def test_it_is_built_once(plane: ControlPlane) -> None:
    made = plane.binaries.stat().st_mtime_ns
    assert build() == plane.binaries
    assert plane.binaries.stat().st_mtime_ns == made


def test_a_machine_without_go_is_told_what_to_install(tmp_path: Path) -> None:
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [SCRIPT], env={"PATH": str(tmp_path), "HOME": "/"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: Go is missing: install Go 1.24 or newer, then run the same command")


def test_a_part_that_does_not_start_is_shown_and_nothing_stays_behind(tmp_path: Path) -> None:
    binaries, folder = tmp_path / "binaries", tmp_path / "folder"
    for name, text in (("etcd", "exec sleep 600"), ("kube-apiserver", "echo no such flag; exit 3")):
        binaries.mkdir(exist_ok=True)
        (binaries / name).write_text(f"#!/bin/sh\n{text}\n")
        (binaries / name).chmod(0o755)
    folder.mkdir()
    plane = ControlPlane(folder, binaries)
    with pytest.raises(RehearsalError, match=r"^kube-apiserver ended with 3:\nno such flag$"):
        plane.start()
    processes = list(plane.processes._running.values())
    plane.stop()
    assert len(processes) == 2
    assert all(process.poll() is not None for process in processes)
