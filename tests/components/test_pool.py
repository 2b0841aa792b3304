"""PgBouncer in the graph."""

from tests.components.conftest import Graph, Plan

FILE = "/etc/ollamamax/pgbouncer.ini"


def test_transactions_share_connections_and_may_prepare_statements(local: Graph) -> None:
    lines = local.files("pgbouncer")[FILE].splitlines()
    assert "pool_mode = transaction" in lines
    assert "max_prepared_statements = 200" in lines


def test_the_numbers_reach_pgbouncer(plan: Plan) -> None:
    graph = plan(pool={"maxClientConn": 1500, "defaultPoolSize": 30, "reservePoolSize": 3})
    lines = graph.files("pgbouncer")[FILE].splitlines()
    assert {"max_client_conn = 1500", "default_pool_size = 30", "reserve_pool_size = 3"} <= set(lines)


def test_both_sides_of_the_pool_are_encrypted(local: Graph) -> None:
    lines = local.files("pgbouncer")[FILE].splitlines()
    assert "client_tls_sslmode = require" in lines
    assert "server_tls_sslmode = verify-full" in lines
