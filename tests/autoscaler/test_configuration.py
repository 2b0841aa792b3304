"""The configuration file: every problem is reported, and all at once."""

from pathlib import Path

import pytest

from ollamamax_autoscaler.configuration import ConfigurationError, load

BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))


@pytest.mark.parametrize("file", BAD, ids=[file.stem for file in BAD])
def test_a_bad_file_is_refused_with_every_problem_of_it(file: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(file)
    assert f"{refused.value}\n" == file.with_suffix(".txt").read_text()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"configuration file: .*/none.yaml: No such file or directory"
    ):
        load(tmp_path / "none.yaml")


def test_a_file_that_is_not_yaml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("pools: [")
    with pytest.raises(ConfigurationError, match="configuration is not YAML"):
        load(file)
