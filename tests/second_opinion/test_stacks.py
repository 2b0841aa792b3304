"""Every stack on a cloud or a cluster has an answer to all that the tools find in it."""

from pathlib import Path

import pytest

from ops import second_opinion

ROOT = Path(__file__).parents[2]
FILES = [
    file
    for folder in ("stacks", "docs/examples")
    for file in sorted((ROOT / folder).glob("Pulumi.*.yaml"))
    if "target: docker" not in file.read_text()
]


def test_there_are_stacks_to_judge() -> None:
    assert {"Pulumi.existing-cluster", "Pulumi.prod", "Pulumi.staging"} <= {file.stem for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_found_in_a_stack_is_fixed_or_waived(file: Path) -> None:
    stack = file.stem.removeprefix("Pulumi.")
    found = second_opinion.find(second_opinion.simulated(stack, file))
    judged = second_opinion.judge(found, stack, second_opinion.read_waivers())
    assert judged.open == []
    assert judged.unused == []
