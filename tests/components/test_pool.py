"""PgBouncer in the graph."""

from components import pool
from components.service import Outside, Peer, Store
from stacks.stores import PoolSettings
from tests.components.conftest import Graph, Plan
from tests.templates.rendered import NO_CERTIFICATE

FILE = "/etc/ollamamax/pgbouncer.ini"


def test_transactions_share_connections_and_may_prepare_statements(local: Graph) -> None:
    lines = local.files("pgbouncer")[FILE].splitlines()
    assert "pool_mode = transaction" in lines
    assert "max_prepared_statements = 200" in lines


def test_the_numbers_reach_pgbouncer(plan: Plan) -> None:
    graph = plan(pool={"maxClientConn": 1500, "defaultPoolSize": 30, "reservePoolSize": 3})
    lines = graph.files("pgbouncer")[FILE].splitlines()
    assert {"max_client_conn = 1500", "default_pool_size = 30", "reserve_pool_size = 3"} <= set(lines)


def test_a_pooler_that_leaves_a_cluster_refuses_no_connection() -> None:
    args = pool.PoolArgs(PoolSettings(), Peer("postgres", 5432), NO_CERTIFICATE, "", "")
    stop = pool.describe(args).stop
    assert stop.before == ("sleep", str(pool.LEAVE_S))
    assert stop.grace_s > pool.LEAVE_S


def test_both_sides_of_the_pool_are_encrypted(local: Graph) -> None:
    lines = local.files("pgbouncer")[FILE].splitlines()
    assert "client_tls_sslmode = require" in lines
    assert "server_tls_sslmode = verify-full" in lines


def test_a_managed_database_is_checked_with_its_own_authority() -> None:
    outside = Outside(("10.80.250.0/24",), 5432)
    files = {}
    for authority in ("its authority", None):
        store = Store("stack.rds.example.org", 5432, outside, "", authority)
        service = pool.describe(pool.PoolArgs(PoolSettings(), store, NO_CERTIFICATE, "the stack's", ""))
        assert service.talks_to == ()
        assert service.reaches == (outside,)
        assert "ca.pem" not in service.secrets
        files[authority] = str(service.config["pgbouncer.ini"]).splitlines()
    assert "server_tls_ca_file = /etc/ollamamax/secrets/database-ca.pem" in files["its authority"]
    assert "server_tls_ca_file = /etc/ssl/certs/ca-certificates.crt" in files[None]
    assert "ollamamax = host=stack.rds.example.org port=5432 dbname=ollamamax" in files[None]
