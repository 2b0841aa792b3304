"""Exporters in the graph."""

from components import exporters
from components.service import Outside, Peer, Service, Store
from stacks.alerts import AlertSettings
from tests.components.conftest import Graph

OUTSIDE = Outside(("10.80.250.0/24",), 5432)


def described(**changed: object) -> dict[str, Service]:
    """Return the exporters of a stack on AWS, by name."""
    wanted: dict[str, object] = {
        "settings": AlertSettings(),
        "database": Store("stack.rds.example.org", 5432, OUTSIDE, "", "an authority of its own"),
        "cache": Store("stack.cache.example.org", 6379, OUTSIDE, ""),
        "pool": Peer("pgbouncer", 6432),
        "database_password": "",
        "cache_password": "",
        "ca_certificate": "",
        "edge": Peer("edge", 8443),
        "edge_name": "api.example.org",
        "edge_of_stack": False,
        "machine": False,
    }
    args = exporters.ExportersArgs(**wanted | changed)  # type: ignore[arg-type]
    return {service.name: service for service in exporters.describe(args)}


def test_what_has_no_metrics_of_its_own_has_an_exporter(local: Graph) -> None:
    names = {one.name for one in local.containers if one.name.startswith("exporter-")}
    assert names == {f"exporter-{of}-1" for of in ("machine", "pgbouncer", "postgres", "probe", "redis")}


def test_only_a_machine_of_the_stacks_own_is_watched() -> None:
    assert "exporter-machine" not in described()
    assert "exporter-machine" in described(machine=True)


def test_managed_stores_are_asked_where_they_are() -> None:
    found = described()
    assert found["exporter-redis"].config["redis-address"] == "rediss://stack.cache.example.org:6379\n"
    assert found["exporter-postgres"].config["postgres"] == (
        "stack.rds.example.org:5432/ollamamax?sslmode=verify-full"
        "&sslrootcert=/etc/ollamamax/secrets/database-ca.pem\n"
    )
    assert found["exporter-postgres"].reaches == found["exporter-redis"].reaches == (OUTSIDE,)


def test_the_edge_is_asked_by_the_name_that_clients_use() -> None:
    public = described()["exporter-probe"]
    assert 'server_name: "api.example.org"' in str(public.config["blackbox.yml"])
    assert "ca_file" not in str(public.config["blackbox.yml"])
    assert public.secrets == {}
    own = described(edge_of_stack=True)["exporter-probe"]
    assert "ca_file: /etc/ollamamax/secrets/ca.pem" in str(own.config["blackbox.yml"])


def test_the_machine_is_read_without_any_right_or_folder_of_it(local: Graph) -> None:
    machine = local.container("exporter-machine-1").inputs
    assert not machine.get("volumes")
    assert machine["readOnly"]
    assert machine["capabilities"]["drops"] == ["ALL"]
