"""The gateways and the migrations in the graph."""

from typing import Any

import yaml

from tests.components.conftest import Graph, Plan

FILE = "/etc/ollamamax/gateway.yaml"


def config(graph: Graph, service: str = "gateway") -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(graph.files(service)[FILE])
    return document


def test_the_report_reaches_the_gateways_configuration(local: Graph) -> None:
    found = config(local)
    assert found["server"] == {
        "readHeaderTimeout": "5s",
        "readTimeout": "5s",
        "writeTimeout": "5s",
        "idleTimeout": "60s",
        "maxHeaderBytes": 8192,
        "maxBodyBytes": 32 * 1024 * 1024,
        "drainDelay": "2s",
        "drainTimeout": "30s",
    }
    pool = found["database"]
    assert (pool["maxOpen"], pool["maxIdle"], pool["maxLifetime"]) == (100, 25, "300s")
    assert found["queryCache"] == {"entries": 10_000, "ttl": "300s"}


def test_the_report_reaches_the_go_runtime(local: Graph) -> None:
    gateway = local.container("gateway-1")
    assert gateway.env == {"GOGC": "50", "GOMEMLIMIT": "2048MiB"}
    assert gateway.inputs["memory"] > 2048


def test_a_gateway_asks_through_the_pool_and_the_migrations_ask_postgresql_itself(local: Graph) -> None:
    gateway, migrations = config(local), config(local, "migrations")
    assert (gateway["database"]["host"], gateway["database"]["port"]) == ("pgbouncer", 6432)
    assert (migrations["database"]["host"], migrations["database"]["port"]) == ("postgres", 5432)
    del gateway["database"], migrations["database"]
    assert gateway == migrations, "all else is the same file"


def test_a_gateway_knows_every_worker(plan: Plan) -> None:
    graph = plan(worker={"replicas": 3})
    assert config(graph)["workers"]["hosts"] == ["worker-1:11434", "worker-2:11434", "worker-3:11434"]


def test_public_keys_and_log_level_reach_the_gateway_as_they_are(plan: Plan) -> None:
    key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== a "name": with, signs'
    found = config(plan(gateway={"publicKeys": [key], "logLevel": "debug"}))
    assert found["auth"]["publicKeys"] == [key]
    assert found["log"]["level"] == "debug"


def test_the_gateways_are_published_nowhere(local: Graph) -> None:
    assert "ports" not in local.container("gateway-1").inputs


def test_a_stopping_gateway_is_killed_only_after_its_drain(plan: Plan) -> None:
    inputs = plan(gateway={"drainTimeoutS": 40}).container("gateway-1").inputs
    assert inputs["stopTimeout"] == inputs["destroyGraceSeconds"] == 45


def test_only_the_migrations_see_the_api_key(local: Graph) -> None:
    assert "/etc/ollamamax/secrets/api-key" in local.files("migrations")
    assert "/etc/ollamamax/secrets/api-key" not in local.files("gateway")
