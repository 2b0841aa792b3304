"""The budgets, over all the values that their settings can have: broken exactly when the numbers say so."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from stacks import budgets
from stacks.budgets import connections as links
from stacks.settings import Settings


def problems(**blocks: dict[str, Any] | None) -> list[str]:
    """Return the budgets that default settings with these blocks break."""
    return budgets.check(Settings.model_validate({"target": "docker", **blocks}), "dev")


def about(found: list[str], *words: str) -> list[str]:
    return [sentence for sentence in found if all(word in sentence for word in words)]


seconds = st.integers(1, 86_400)
mebibytes = st.integers(16, 1_048_576)


def test_the_defaults_break_no_budget() -> None:
    assert problems() == []


@given(edge=seconds, gateway=seconds)
@example(edge=60, gateway=60)
def test_the_side_that_asks_closes_idle_connections_first(edge: int, gateway: int) -> None:
    found = problems(edge={"upstream_keepalive_timeout_s": edge}, gateway={"idle_timeout_s": gateway})
    assert bool(found) == (edge >= gateway)
    assert found == about(found, f"({edge} s)", f"({gateway} s)")


@given(delay=st.integers(0, 300), drain=seconds)
@example(delay=30, drain=30)
def test_the_drain_includes_its_delay(delay: int, drain: int) -> None:
    found = problems(gateway={"drain_delay_s": delay, "drain_timeout_s": drain})
    assert bool(about(found, "drainDelayS", f"({delay} s)", f"({drain} s)")) == (delay >= drain)


@given(timeout=seconds, interval=seconds)
@example(timeout=5, interval=5)
def test_a_scrape_ends_before_the_next(timeout: int, interval: int) -> None:
    monitoring = {"scrape_timeout_s": timeout, "scrape_interval_s": interval}
    found = [one for one in problems(monitoring=monitoring, autoscaler=None) if "scrapeTimeoutS" in one]
    assert bool(found) == (timeout > interval)


@given(
    replicas=st.integers(1, 50),
    opened=st.integers(1, 1000),
    idle=st.integers(0, 1000),
    clients=st.integers(10, 50_000),
)
@example(replicas=10, opened=100, idle=100, clients=1000)
def test_pgbouncer_takes_every_connection_of_every_gateway(
    replicas: int, opened: int, idle: int, clients: int
) -> None:
    found = problems(
        gateway={"replicas": replicas, "database_pool": {"max_open": opened, "max_idle": idle}},
        pool={"max_client_conn": clients},
    )
    wanted = replicas * opened
    too_many = about(
        found, f"gateway.replicas ({replicas})", f"= {wanted} ", f"pool.maxClientConn ({clients})"
    )
    assert bool(too_many) == (wanted > clients)
    assert bool(about(found, "databasePool.maxIdle")) == (idle > opened)


@given(
    size=st.integers(1, 1000),
    reserve=st.integers(0, 1000),
    connections=st.integers(10, 5000),
    reserved=st.integers(1, 50),
)
@example(size=85, reserve=5, connections=100, reserved=10)
def test_postgresql_takes_every_connection_of_pgbouncer(
    size: int, reserve: int, connections: int, reserved: int
) -> None:
    found = problems(
        pool={"default_pool_size": size, "reserve_pool_size": reserve},
        database={"max_connections": connections, "superuser_reserved_connections": reserved},
    )
    too_many = about(found, f"= {size + reserve} ", f"= {connections - reserved}")
    assert bool(too_many) == (size + reserve > connections - reserved)


@given(soft=mebibytes, hard=mebibytes)
@example(soft=64, hard=64)
def test_go_collects_before_the_kernel_kills(soft: int, hard: int) -> None:
    found = problems(gateway={"go_memory_limit_mib": soft, "resources": {"memory_mib": hard, "cpus": 1.0}})
    assert bool(about(found, f"goMemoryLimitMib ({soft})", f"memoryMib ({hard})")) == (soft >= hard)
    assert bool(about(found, f"memoryMib ({hard})", "nodeMemory.criticalMib (5120)")) == (hard >= 5120)


@given(warning=mebibytes, critical=mebibytes)
@example(warning=64, critical=64)
def test_a_node_warns_before_it_sheds(warning: int, critical: int) -> None:
    found = problems(node_memory={"warning_mib": warning, "critical_mib": critical})
    assert bool(about(found, f"warningMib ({warning})", f"criticalMib ({critical})")) == (warning >= critical)


@given(data=mebibytes, limit=mebibytes)
@example(data=64, limit=64)
def test_redis_drops_keys_before_the_kernel_kills(data: int, limit: int) -> None:
    found = problems(cache={"max_memory_mib": data, "resources": {"memory_mib": limit, "cpus": 1.0}})
    assert bool(found) == (data >= limit)


@given(buffers=mebibytes, limit=mebibytes)
@example(buffers=512, limit=1024)
def test_postgresqls_buffers_leave_half_of_its_memory(buffers: int, limit: int) -> None:
    found = problems(
        database={"shared_buffers_mib": buffers, "resources": {"memory_mib": limit, "cpus": 1.0}}
    )
    assert bool(about(found, "at most half")) == (2 * buffers > limit)


@given(connections=st.integers(64, 65_000), files=st.integers(1024, 1_048_576))
@example(connections=1024 // links.EDGE_FILES, files=1024)
def test_an_nginx_worker_may_open_all_its_connections(connections: int, files: int) -> None:
    found = problems(edge={"worker_connections": connections}, docker={"open_files": files})
    too_many = about(found, f"edge.workerConnections ({connections})", f"docker.openFiles ({files})")
    assert bool(too_many) == (connections * links.EDGE_FILES > files)


@given(prefix=st.integers(8, 30))
def test_the_subnet_holds_fixed_and_dynamic_addresses(prefix: int) -> None:
    found = budgets.check(
        Settings.model_validate_json(f'{{"target": "docker", "docker": {{"subnet": "10.0.0.0/{prefix}"}}}}'),
        "dev",
    )
    assert bool(found) == (prefix > 25)


@given(steps=st.lists(st.integers(1, 100), min_size=1, max_size=6, unique=True))
@example(steps=[5, 25, 50])
@example(steps=[100, 5])
@example(steps=[5, 25, 100])
def test_a_release_is_given_more_and_more_and_in_the_end_all(steps: list[int]) -> None:
    found = about(problems(release={"steps_percent": tuple(steps)}), "release.stepsPercent")
    assert bool(found) == (steps != sorted(steps) or steps[-1] != 100)


def test_the_gateways_of_a_release_that_is_tried_count_too() -> None:
    more = {"pool": {"max_client_conn": 250}, "canary": {"replicas": 1}}
    assert about(problems(**more), "gateway.replicas + canary.replicas (3)", "= 300 ")
    assert not about(problems(pool={"max_client_conn": 250}), "pool.maxClientConn")
