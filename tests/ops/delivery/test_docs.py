"""The commands of docs/delivery.md are those that there are, with the options that they have."""

import re
import shlex
import subprocess

import pytest
from typer.testing import CliRunner

from ops.__main__ import app
from ops.stack import ROOT

PAGE = (ROOT / "docs" / "delivery.md").read_text()
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    for line in block.splitlines()
]


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_is_one(command: str) -> None:
    words = ["--dry-run", "--no-print-directory", *shlex.split(command)[1:]]
    planned = subprocess.run(["make", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (line,) = [one for one in planned.splitlines() if " -m ops " in one]
    asked = shlex.split(line.partition(" -m ops ")[2])
    # Help instead of the deed; an option that there is not is refused before.
    done = CliRunner().invoke(app, [*asked, "--help"])
    assert done.exit_code == 0, done.output


def test_an_option_that_there_is_not_would_be_found() -> None:
    assert CliRunner().invoke(app, ["release", "--untill", "5", "--help"]).exit_code == 2
