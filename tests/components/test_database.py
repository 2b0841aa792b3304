"""PostgreSQL in the graph."""

from tests.components.conftest import VOLUME, Graph, Plan

CONF = "/etc/ollamamax/postgresql.conf"


def test_the_data_is_in_a_volume_that_outlives_the_container(local: Graph) -> None:
    volumes = {v["containerPath"]: v["volumeName"] for v in local.container("postgres-1").inputs["volumes"]}
    assert volumes["/var/lib/postgresql/data"] == "ollamamax-local-postgres-1-data"
    assert local[f"{VOLUME}::postgres-1-data"].parent == "ollamamax:index:Database::database"


def test_the_numbers_reach_postgresql(plan: Plan) -> None:
    conf = plan(database={"maxConnections": 60, "sharedBuffersMib": 128}).files("postgres")[CONF]
    assert "max_connections = 60" in conf
    assert "shared_buffers = '128MB'" in conf


def test_a_stop_ends_sessions_and_leaves_time_for_a_checkpoint(local: Graph) -> None:
    inputs = local.container("postgres-1").inputs
    assert inputs["stopSignal"] == "SIGINT", "PostgreSQL's fast shutdown"
    assert inputs["destroyGraceSeconds"] >= 60
