"""The gateways and the migrations in the graph."""

from ipaddress import IPv4Network
from typing import Any

import pulumi
import yaml

from components import gateway
from components.service import ApiUse, Outside, Peer, Service, Store, VaultSecret, Workers
from stacks.delivery import TRIAL
from stacks.gateway import GatewaySettings, RoutingSettings, TracingSettings
from stacks.settings import NodeMemorySettings
from tests.components.conftest import Graph, Plan, Registered, strings

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
    assert found["resultCache"] == {
        "memoryBytes": 32 * 1024**2,
        "maxAnswerBytes": 1024**2,
        "ttl": "3600s",
        "redisTimeout": "20ms",
        "acrossTenants": False,
    }
    assert found["memory"] == {
        "warnPercent": 80,
        "shedPercent": 90,
        "refusePercent": 95,
        "nodeWarning": 4096 * 1024**2,
        "nodeCritical": 5120 * 1024**2,
    }
    assert "tracing" not in found
    assert found["workers"] == {
        "hosts": ["worker-1:11434", "worker-2:11434"],
        "limits": [
            {
                "host": f"worker-{n}:11434",
                "pool": "worker",
                "slots": 4,
                "loadedModels": 3,
                "memory": 6144 * 1024 * 1024,
                "preload": ["smollm2:135m"],
                "coldStart": "0s",
            }
            for n in (1, 2)
        ],
        "pull": True,
        "discovery": "dns",
        "resolveInterval": "5s",
        "healthInterval": "2s",
        "healthTimeout": "2s",
        "connectTimeout": "2s",
        "responseTimeout": "600s",
        "waitForNode": "15s",
        "affinityLoad": 1.25,
        "spreadAfter": "5s",
        "slowStart": "10s",
        "queue": {"total": 4096, "perKey": 1024, "maxWait": "30s"},
        "breaker": {"window": "10s", "minRequests": 10, "failures": 50, "openFor": "5s"},
        "ejection": {
            "consecutive": 5,
            "interval": "10s",
            "minRequests": 20,
            "margin": 30,
            "base": "30s",
            "longest": "300s",
            "maxPercent": 50,
        },
    }
    assert found["embedBatch"] == {"maxWait": "5ms", "maxInputs": 64}
    assert found["live"] == {"flush": "16ms", "batch": 100, "buffer": 8192, "clients": 2000, "origins": []}


def test_the_report_reaches_the_go_runtime(local: Graph) -> None:
    gateway = local.container("gateway-1")
    assert gateway.env == {"GOGC": "50", "GOMEMLIMIT": "2048MiB"}
    assert gateway.inputs["memory"] > 2048


def test_a_gateway_asks_through_the_pool_and_the_migrations_ask_postgresql_itself(local: Graph) -> None:
    gateway, migrations = config(local), config(local, "migrations")
    assert (gateway["database"]["host"], gateway["database"]["port"]) == ("pgbouncer", 6432)
    assert (migrations["database"]["host"], migrations["database"]["port"]) == ("postgres", 5432)
    assert gateway["forecaster"] == "autoscaler:9090"
    del gateway["database"], migrations["database"], gateway["forecaster"]
    assert gateway == migrations, "all else is the same file"


def test_a_gateway_knows_every_worker(plan: Plan) -> None:
    names = ["tiny", "all-minilm:22m", "smollm2:135m"]
    graph = plan(
        models=names,
        worker={
            "replicas": 3,
            "parallel": 6,
            "maxLoadedModels": 2,
            "resources": {"memoryMib": 4096, "cpus": 1},
        },
    )
    found = config(graph)["workers"]
    assert found["hosts"] == ["worker-1:11434", "worker-2:11434", "worker-3:11434"]
    knows = {"slots": 6, "loadedModels": 2, "memory": 4 * 1024**3, "preload": names[:2]}
    knows |= {"pool": "worker", "coldStart": "0s"}
    assert found["limits"] == [{"host": host} | knows for host in found["hosts"]], (
        "as many as the worker serves at once, and has room for"
    )
    for preload in ([], names[2:]):
        chosen = config(plan(models=names, worker={"preload": preload}))["workers"]["limits"]
        assert [limit["preload"] for limit in chosen] == [preload, preload]
    assert graph.container("worker-1").env["OLLAMA_NUM_PARALLEL"] == "6"
    assert graph.container("worker-1").env["OLLAMA_MAX_LOADED_MODELS"] == "2"


def test_only_gateways_that_follow_their_workers_ask_the_api_server() -> None:
    asks = GatewaySettings(routing=RoutingSettings(discovery="kubernetes"))
    for settings, follows in ((GatewaySettings(), False), (asks, True)):
        found = beside_managed_stores(settings)
        service, file = found[gateway.NAME]
        assert (service.asks_api is ApiUse.FOLLOW_PEERS) is follows
        assert file["workers"]["discovery"] == settings.routing.discovery
        assert found[gateway.MIGRATIONS][0].asks_api is None


def test_public_keys_and_log_level_reach_the_gateway_as_they_are(plan: Plan) -> None:
    key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== a "name": with, signs'
    found = config(plan(gateway={"publicKeys": [key], "logLevel": "debug"}))
    assert found["auth"]["publicKeys"] == [key]
    assert found["log"]["level"] == "debug"


def test_the_consoles_pages_and_those_of_the_settings_may_follow_what_goes_on(
    plan: Plan, cloud: Graph
) -> None:
    origin = "https://ops.example.com:8443"
    assert config(plan(gateway={"live": {"origins": [origin]}}))["live"]["origins"] == [origin]
    files = [text for one in cloud.values() for text in strings(one.inputs) if "publicPaths:" in text]
    assert files
    assert all('origins: ["https://console.llm.example.org"]' in text for text in files)


def test_how_usage_is_written_reaches_the_gateways(plan: Plan) -> None:
    found = config(plan(gateway={"usage": {"flushIntervalS": 3, "keepDays": 40, "bufferRows": 2000}}))
    assert found["usage"] == {"flushInterval": "3s", "keepDays": 40, "bufferRows": 2000}


def test_aliases_reach_the_migrations_alone_so_that_no_gateway_is_replaced_for_one(plan: Plan) -> None:
    aliases = [
        {
            "name": "chat",
            "targets": [{"model": "tiny", "weight": 9, "variant": "old"}, {"model": "Tiny:latest"}],
        },
        {"name": "tiny", "fallbacks": ["smollm2:135m"]},
    ]
    graph = plan(models=["tiny", "smollm2:135m"], gateway={"aliases": aliases})
    assert config(graph, "migrations")["models"]["aliases"] == [
        {
            "name": "chat",
            "targets": [
                {"model": "tiny", "weight": 9, "variant": "old"},
                {"model": "Tiny:latest", "weight": 1, "variant": ""},
            ],
            "fallbacks": [],
        },
        {"name": "tiny", "targets": [], "fallbacks": ["smollm2:135m"]},
    ]
    assert "models" not in config(graph)


def test_the_gateways_are_published_nowhere(local: Graph) -> None:
    assert "ports" not in local.container("gateway-1").inputs


def test_a_stopping_gateway_is_killed_only_after_its_drain(plan: Plan) -> None:
    inputs = plan(gateway={"drainTimeoutS": 40}).container("gateway-1").inputs
    assert inputs["stopTimeout"] == inputs["destroyGraceSeconds"] == 45


def test_a_gateway_that_only_waits_for_a_worker_is_not_started_again(local: Graph) -> None:
    service, _ = beside_managed_stores()[gateway.NAME]
    assert service.probe.command == ("/ollama-distributed", "healthcheck", "--live")
    assert service.ready.command == ("/ollama-distributed", "healthcheck")
    tests = local.container("gateway-1").inputs["healthcheck"]["tests"]
    assert tests == ["CMD", "/ollama-distributed", "healthcheck"], "the edge comes after one that serves"


def test_only_the_migrations_see_the_api_key(local: Graph) -> None:
    assert "/etc/ollamamax/secrets/api-key" in local.files("migrations")
    assert "/etc/ollamamax/secrets/api-key" not in local.files("gateway")


def beside_managed_stores(settings: GatewaySettings | None = None) -> dict[str, Any]:
    """Return gateways and migrations, each with its settled file, where database and cache are managed."""
    admin = VaultSecret("arn:aws:secretsmanager:::secret:admin", "password")
    data = ("10.80.250.0/24",)
    host = pulumi.Output.from_input("stack.rds.example.org")
    args = gateway.GatewayArgs(
        settings=settings or GatewaySettings(),
        workers=[Workers("worker:11434", 4, 3)],
        longest_silence_s=600,
        worker_services=[Peer("worker", 11434)],
        database=Store(host, 5432, Outside(data, 5432), "of the role", "its authority", admin),
        pool=Peer("pgbouncer", 6432),
        cache=Store(
            pulumi.Output.from_input("stack.cache.example.org"), 6379, Outside(data, 6379), "of valkey"
        ),
        ca_certificate="the stack's authority",
        database_password="of the role",
        cache_password="",
        api_key="",
        node_memory=NodeMemorySettings(),
    )
    found: dict[str, Any] = {}

    async def settle() -> None:
        for service in (gateway.describe(args), gateway.describe_migrations(args)):
            text = await pulumi.Output.from_input(service.config["gateway.yaml"]).future()
            found[service.name] = (service, yaml.safe_load(str(text)))

    def build() -> pulumi.Output[None]:
        return pulumi.Output.from_input(settle())

    pulumi.runtime.test(build)()  # type: ignore[no-untyped-call]
    return found


def test_traces_go_to_their_receiver_and_the_gateways_are_let_out_to_it() -> None:
    tracing = TracingSettings(
        endpoint="https://collector.example.org",
        networks=(IPv4Network("10.1.0.0/16"),),
        sample_ratio=0.5,
        ca_certificate="its authority",
    )
    service, file = beside_managed_stores(GatewaySettings(tracing=tracing))["gateway"]
    assert file["tracing"] == {
        "endpoint": "https://collector.example.org",
        "sampleRatio": 0.5,
        "caFile": "/etc/ollamamax/secrets/tracing-ca.pem",
    }
    assert service.secrets["tracing-ca.pem"] == "its authority"
    assert Outside(("10.1.0.0/16",), 443) in service.reaches


def test_a_managed_store_is_reached_beyond_the_platform_and_no_service_stands_for_it() -> None:
    found = beside_managed_stores()
    service, file = found["gateway"]
    assert isinstance(service, Service)
    assert service.talks_to == (Peer("worker", 11434), Peer("pgbouncer", 6432))
    assert service.reaches == (Outside(("10.80.250.0/24",), 6379),)
    assert file["redis"]["address"] == "stack.cache.example.org:6379"
    assert "caFile" not in file["redis"], "its certificate is a public one"
    assert file["database"]["caFile"] == "/etc/ollamamax/secrets/ca.pem", "the pool's is the stack's own"
    migrations, file = found["migrations"]
    assert migrations.talks_to == ()
    assert [one.port for one in migrations.reaches] == [5432, 6379]
    assert file["database"]["host"] == "stack.rds.example.org"
    assert file["database"]["caFile"] == "/etc/ollamamax/secrets/database-ca.pem"
    assert migrations.secrets["database-ca.pem"] == "its authority"


def test_the_migrations_alone_act_as_the_administrator_of_a_managed_database() -> None:
    found = beside_managed_stores()
    service, file = found["gateway"]
    assert service.vault == {}
    assert "admin" not in file["database"]
    migrations, file = found["migrations"]
    assert [secret.key for secret in migrations.vault.values()] == ["password"]
    (name,) = migrations.vault
    assert file["database"]["admin"] == {
        "user": "postgres",
        "passwordFile": f"/etc/ollamamax-vault/{name}",
        "database": "postgres",
    }


def test_a_database_that_is_a_service_has_no_administrator_to_act_as(local: Graph) -> None:
    assert "admin" not in config(local, "migrations")["database"]


def test_gateways_of_another_release_are_placed_beside_those_that_are_there(plan: Plan) -> None:
    before, graph = plan(), plan(canary={"replicas": 2})
    canaries = [graph.container(f"gateway-canary-{n}") for n in (1, 2)]
    addresses = [network["ipv4Address"] for one in canaries for network in one.inputs["networksAdvanced"]]
    for address in addresses:
        assert f"server {address}:8080" in before.files("edge")["/etc/ollamamax/nginx.conf"], (
            "an edge knows them before they are there, and is not replaced for them"
        )
    for one in canaries:
        assert any("::migrations-1" in urn for urn in one.depends_on), "the database is migrated first"
        assert not any("::gateway-1" in urn for urn in one.depends_on), "and none of the others is waited for"
    assert graph.files("gateway-canary")[FILE] == graph.files("gateway")[FILE]
    there = {one.name: one.inputs for one in before.containers}
    kept = {one.name: one.inputs for one in graph.containers if "canary" not in one.name}
    assert kept == there, "nothing else changes for them"


def test_prometheus_tells_the_gateways_of_another_release_apart(plan: Plan, cluster: Graph) -> None:
    found = yaml.safe_load(plan().files("prometheus")["/etc/ollamamax/prometheus.yml"])
    (group,) = [one for one in found["scrape_configs"][0]["static_configs"] if one.get("labels")]
    assert group["labels"] == {"release": "canary"}
    assert group["targets"] == ["gateway-canary-1:9090", "gateway-canary-2:9090"]
    (text,) = [
        one.inputs["data"]["prometheus.yml"] for one in config_maps(cluster) if one.name == "prometheus"
    ]
    job = yaml.safe_load(text)["scrape_configs"][0]
    (lookup,), (rule,) = job["dns_sd_configs"], job["relabel_configs"]
    assert lookup["names"] == ["gateway-each", "gateway-canary-each"]
    assert rule == {
        "source_labels": ["__meta_dns_name"],
        "regex": "gateway-canary-each",
        "target_label": "release",
        "replacement": "canary",
    }


def config_maps(graph: Graph) -> list[Registered]:
    return [one for one in graph.values() if one.type == "kubernetes:core/v1:ConfigMap"]


SOMEWHERE: dict[str, Any] = {
    "target": "kubernetes",
    "kubernetes": {"context": "somewhere"},
    "gateway": {"drainTimeoutS": 620},
    "edge": {"drainTimeoutS": 620},
}


def test_on_a_cluster_nothing_of_a_release_is_there_but_the_name_that_edges_ask(cluster: Graph) -> None:
    beside = {one.name for one in cluster.values() if one.name.startswith("gateway-")}
    assert {name for name in beside if "-to-" not in name} == {"gateway-each", "gateway-trial"}
    (spec, there) = (
        cluster[f"kubernetes:core/v1:Service::{name}"].inputs["spec"] for name in (TRIAL, "gateway")
    )
    assert spec == there, "while none is tried, it leads to those that are there"
    (text,) = [one.inputs["data"]["nginx.conf"] for one in config_maps(cluster) if one.name == "edge"]
    assert "server gateway-trial:8080 max_fails=0;" in text
    edge = cluster["kubernetes:apps/v1:Deployment::edge"]
    assert any(urn.endswith("Service::gateway-trial") for urn in edge.depends_on), "nginx needs it to start"


def test_on_a_cluster_a_release_adds_and_changes_nothing_of_the_others(plan: Plan, cluster: Graph) -> None:
    graph = plan("somewhere", **SOMEWHERE, canary={"replicas": 2})
    changed = {key for key in cluster if graph[key].inputs != cluster[key].inputs}
    assert changed == {"kubernetes:core/v1:Service::gateway-trial"}
    added = {key.partition("::")[2] for key in graph.keys() - cluster.keys()}
    assert added
    assert all(name.startswith("gateway-canary") for name in added), "they are all that a trial names"
    spec = graph["kubernetes:core/v1:Service::gateway-trial"].inputs["spec"]
    assert spec["selector"]["app.kubernetes.io/name"] == "gateway-canary"
    for key, one in graph.items():
        if key.partition("::")[2] not in added:
            assert not any("::gateway-canary" in urn for urn in one.depends_on), "so they can be taken away"


def test_on_a_cluster_edges_and_prometheus_reach_a_release_that_says_so_itself(plan: Plan) -> None:
    graph = plan("somewhere", **SOMEWHERE, canary={"replicas": 2})
    for name, port in (("edge", 8080), ("prometheus", 9090)):
        policy = graph[f"kubernetes:networking.k8s.io/v1:NetworkPolicy::gateway-canary-from-{name}"].inputs
        assert policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == name
        assert [one["port"] for one in policy["spec"]["egress"][0]["ports"]] == [port]


def test_no_autoscaler_moves_the_gateways_of_a_release(plan: Plan) -> None:
    scaled = SOMEWHERE | {"gateway": {"drainTimeoutS": 620, "autoscaling": {"maxReplicas": 5}}}
    graph = plan("somewhere", **scaled, canary={"replicas": 5})
    deployment = graph["kubernetes:apps/v1:Deployment::gateway-canary"]
    assert deployment.inputs["spec"]["replicas"] == 5
    assert {one.name for one in graph.values() if one.inputs.get("kind") == "ScaledObject"} == {"gateway"}
