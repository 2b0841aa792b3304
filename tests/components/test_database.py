"""PostgreSQL in the graph."""

from components import database
from stacks.stores import DatabaseSettings
from tests.components.conftest import VOLUME, Graph, Plan
from tests.templates.rendered import NO_CERTIFICATE

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


def test_it_comes_back_under_the_address_that_pgbouncers_resolver_remembers(local: Graph) -> None:
    (network,) = local.container("postgres-1").inputs["networksAdvanced"]
    assert network["ipv4Address"] == "172.16.84.2"


def test_its_volume_on_a_cluster_is_as_large_as_the_stack_says() -> None:
    settings = DatabaseSettings(volume_gib=33)
    (volume,) = database.describe(database.DatabaseArgs(settings, NO_CERTIFICATE, "", "", "")).volumes
    assert volume.size_gib == 33
