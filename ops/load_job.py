"""Load on a stack on a cluster: a job of the stack's program plays it there, beside the platform."""

import json
from dataclasses import replace
from typing import Any

from ops.cluster import Cluster
from ops.stack import Stack, StackError
from stacks.delivery import LOAD

PARTS = (
    f"urn:pulumi:*::*::**docker:index/image:Image::{LOAD}",
    f"urn:pulumi:*::*::**ollamamax:index:Load::{LOAD}",
    "urn:pulumi:*::*::**ollamamax:index:Load$**",
)
"""All that is there only while load is played."""


def played(stack: Stack, scenario: str, seconds: int) -> dict[str, Any]:
    """Have a job play a scenario, and remove it; return what it measured.

    Raises:
        StackError: if there is no cluster for it, it does not come to an end, or has measured nothing.
    """
    stack.check_possible(changing=True)
    Cluster(stack).kubectl(LOAD)  # before it has run for minutes
    playing = replace(stack, beside={"load": {"scenario": scenario, "seconds": seconds}})
    try:
        playing.prepare()
        ended: StackError | None = None
        try:
            playing.up(*PARTS)
        except StackError as error:
            ended = error  # k6 fails the job, too, where a threshold was crossed: what it has said tells
        return measured(Cluster(stack).said(LOAD), ended)
    finally:
        stack.prepare()
        stack.remove(*PARTS)


def measured(said: str, ended: StackError | None = None) -> dict[str, Any]:
    """Return k6's metrics, which are the last line of what it has said.

    Raises:
        StackError: if they are not: k6 has not come to its end.
    """
    last = said.rstrip().rpartition("\n")[2]
    try:
        found: dict[str, Any] = json.loads(last)
    except ValueError as error:
        raise ended or StackError(
            f"the job has measured nothing; its last words: {last or 'none'}"
        ) from error
    return found
