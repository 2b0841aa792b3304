"""``make check``: what it looks at, and that one failure fails the whole."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKS = [
    "ruff_format",
    "ruff",
    "mypy",
    "layers",
    "settings_page",
    "policies_page",
    "shellcheck",
    "hadolint",
    "actionlint",
    "console",
    "gofmt",
    "go_vet",
    "golangci_lint",
]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "ops" / "check.sh", *words], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a small checkout with the real script and tools."""
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "check.sh").write_bytes((ROOT / "ops" / "check.sh").read_bytes())
    (tmp_path / "ops" / "check.sh").chmod(0o755)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / ".gitignore").write_text(".venv\n")
    (tmp_path / ".hadolint.yaml").write_bytes((ROOT / ".hadolint.yaml").read_bytes())
    (tmp_path / "docker" / "some").mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


def test_the_checks_are_those_of_the_conventions() -> None:
    assert run(ROOT, "--list").stdout.split() == CHECKS


def test_an_unknown_check_is_refused() -> None:
    done = run(ROOT, "rufff")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no check is named rufff; there are: ruff_format ruff mypy")


def test_one_failure_fails_the_whole_and_the_others_still_run(checkout: Path) -> None:
    (checkout / "bad.py").write_text("import os\n")
    done = run(checkout, "ruff_format", "ruff", "shellcheck")
    assert done.returncode == 1
    assert "F401" in done.stdout
    statuses = [line.split()[:2] for line in done.stdout.splitlines() if line.startswith(("ok", "FAILED"))]
    assert statuses == [["ok", "ruff_format"], ["FAILED", "ruff"], ["ok", "shellcheck"]]
    assert done.stderr == "error: 1 of 3 checks failed: ruff; what they found stands above\n"


def test_clean_files_pass(checkout: Path) -> None:
    (checkout / "docker" / "some" / "Dockerfile").write_text(
        "FROM scratch AS root\nFROM scratch\nCOPY --from=root / /\n"
    )
    done = run(checkout, "ruff_format", "ruff", "shellcheck", "hadolint")
    assert done.stdout.endswith("all 4 checks passed\n"), done.stdout
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["entrypoint", "run.sh"])
def test_a_shell_script_is_known_by_its_first_line(checkout: Path, name: str) -> None:
    (checkout / name).write_text("#!/bin/sh\necho $1\n")
    done = run(checkout, "shellcheck")
    assert done.returncode == 1
    assert "SC2086" in done.stdout


def test_a_bad_dockerfile_is_found(checkout: Path) -> None:
    (checkout / "docker" / "some" / "Dockerfile").write_text("FROM debian\nRUN cd /tmp\n")
    done = run(checkout, "hadolint")
    assert done.returncode == 1
    assert "DL3006" in done.stdout


def test_go_that_is_not_formatted_is_found(checkout: Path) -> None:
    (checkout / "docker" / "some" / "go.mod").write_text("module some\n")
    (checkout / "docker" / "some" / "main.go").write_text("package main\nfunc  main() {}\n")
    done = run(checkout, "gofmt")
    assert done.returncode == 1
    assert "not formatted: main.go" in done.stdout
