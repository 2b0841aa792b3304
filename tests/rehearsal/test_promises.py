"""What a stack promises before anything is played."""

from socket import create_server

import pytest

from rehearsal.promises import promised
from tests.rehearsal.fake_stage import FakeStage


@pytest.mark.parametrize(("kind", "stays"), [("g6e.xlarge", 600), ("g6e.12xlarge", 0)])
def test_nodes_stay_unless_they_are_shared(kind: str, stays: int) -> None:
    with create_server(("127.0.0.1", 0)) as free:
        stage = FakeStage(free.getsockname()[1])
    chat, *others = stage.settings.gpu_pools
    pools = (chat.model_copy(update={"instance_types": (kind,)}), *others)
    stage.settings = stage.settings.model_copy(update={"gpu_pools": pools})
    assert promised(stage).expected.consolidate_after_s == {"chat": stays, "code": 600}
