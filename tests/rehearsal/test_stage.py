"""A stage, with staging's program on it: what was deployed holds together, and goes without a trace.

The steps build on each other: the stage takes a minute to stand, and the stack another to be there.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rehearsal.stage import QUICK, Stage, running

pytestmark = pytest.mark.timeout(3600)  # the first run builds what it stands on

MERGE = "application/merge-patch+json"
DEPLOYMENTS = "/apis/apps/v1/namespaces/ollamamax/deployments"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Return a stage with staging deployed."""
    with running(tmp_path_factory.mktemp("stage"), "staging", QUICK, print) as stands:
        stands.deploy()
        yield stands


def replicas(stage: Stage, name: str) -> int:
    return int(stage.plane.request("get", f"{DEPLOYMENTS}/{name}")["spec"]["replicas"])


def test_everything_runs_and_fits_together(stage: Stage) -> None:
    assert stage.deployed().problems == ()
