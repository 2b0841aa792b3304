"""The engine of a rehearsal, where it fails."""

from pathlib import Path

import pytest

from rehearsal.processes import RehearsalError
from rehearsal.stage.engine import Engine


def test_a_command_that_fails_says_first_what_went_wrong(tmp_path: Path) -> None:
    engine = Engine("prod", tmp_path, tmp_path / "kubeconfig")
    engine.write(lambda settings: None)
    with pytest.raises(RehearsalError) as failed:
        engine.run("export", within_s=60, kubeconfig=False)
    why = f"no stack named 'prod' in {tmp_path}/state/simulated; `up` makes it"
    assert str(failed.value) == f"engine export failed: {why}\nIt said last:\nerror: {why}"
