"""Commits in a copy of the checkout."""

import subprocess
from pathlib import Path

WHO = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")


def git(checkout: Path, *words: str) -> None:
    """Run git in a checkout."""
    subprocess.run(["git", *WHO, *words], cwd=checkout, check=True, capture_output=True)


def commit(checkout: Path, message: str) -> None:
    """Commit everything that is there."""
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", message)
