"""Machine code is kept for as long as what it was made of."""

from pathlib import Path

from numba import config

from rehearsal.replay.compiled import HERE, kept_in


def test_machine_code_is_made_anew_once_any_file_has_changed(tmp_path: Path) -> None:
    rules, simulation = tmp_path / "rules.py", tmp_path / "simulation.py"
    rules.write_text("LIMIT = 1\n")
    simulation.write_text("from rules import LIMIT\n")
    before = kept_in(tmp_path)
    assert kept_in(tmp_path) == before
    rules.write_text("LIMIT = 2\n")
    assert kept_in(tmp_path) != before


def test_it_is_kept_by_the_replay_s_own_files() -> None:
    assert Path(config.CACHE_DIR) == kept_in(HERE)  # type: ignore[attr-defined]
