"""The tuned parameters of the performance report, as they reach what runs in each cloud stack."""

import re
from typing import Any

import pytest
import yaml

from tests.cloud.conftest import Simulated


class Deployed:
    """What a stack has deployed, by the words of Kubernetes and AWS."""

    def __init__(self, stack: Simulated) -> None:
        self.inputs = {
            (one["type"].rpartition(":")[2], one["urn"].rsplit("::", 1)[1]): one.get("inputs", {})
            for one in stack.resources()
        }

    def file(self, service: str, name: str) -> str:
        """Return a configuration file of a service."""
        return str(self.inputs["ConfigMap", service]["data"][name])

    def container(self, service: str, kind: str = "Deployment") -> dict[str, Any]:
        """Return the container of a service."""
        (found,) = self.inputs[kind, service]["spec"]["template"]["spec"]["containers"]
        return dict(found)

    def env(self, service: str) -> dict[str, str]:
        return {one["name"]: one["value"] for one in self.container(service)["env"]}

    @property
    def gateway(self) -> dict[str, Any]:
        return dict(yaml.safe_load(self.file("gateway", "gateway.yaml")))

    @property
    def nginx(self) -> str:
        return self.file("edge", "nginx.conf")

    @property
    def pgbouncer(self) -> dict[str, str]:
        return dict(re.findall(r"^(\w+) = (.*)$", self.file("pgbouncer", "pgbouncer.ini"), re.MULTILINE))

    def scaler(self, name: str) -> dict[str, Any]:
        return dict(self.inputs["ScaledObject", name]["spec"])

    def triggers(self, name: str) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self.scaler(name)["triggers"]}


@pytest.fixture(params=["staging", "prod"])
def deployed(request: pytest.FixtureRequest) -> Deployed:
    return Deployed(request.getfixturevalue(request.param))


def test_the_gateways_time_outs_are_rolling_and_close_after_the_edge(deployed: Deployed) -> None:
    server = deployed.gateway["server"]
    assert (server["readHeaderTimeout"], server["readTimeout"], server["writeTimeout"]) == ("5s", "5s", "5s")
    assert server["idleTimeout"] == "60s"
    assert "keepalive_timeout 50s;" in deployed.nginx, "the edge's upstream connections end first"


def test_headers_end_at_8192_bytes(deployed: Deployed) -> None:
    assert deployed.gateway["server"]["maxHeaderBytes"] == 8192


def test_the_go_runtime_collects_early_and_below_the_containers_limit(deployed: Deployed) -> None:
    assert deployed.env("gateway") == {"GOGC": "50", "GOMEMLIMIT": "2048MiB"}
    assert deployed.container("gateway")["resources"]["limits"]["memory"] == "2560Mi"


def test_a_gateways_own_pool_is_100_25_and_5_minutes(deployed: Deployed) -> None:
    database = deployed.gateway["database"]
    assert (database["maxOpen"], database["maxIdle"], database["maxLifetime"]) == (100, 25, "300s")
    assert database["host"] == "pgbouncer"


def test_pgbouncer_stands_between_and_keeps_prepared_statements(deployed: Deployed) -> None:
    assert deployed.pgbouncer["pool_mode"] == "transaction"
    assert int(deployed.pgbouncer["max_prepared_statements"]) > 0
    assert deployed.pgbouncer["server_tls_sslmode"] == "verify-full"


def test_the_query_cache_has_10000_entries_for_5_minutes(deployed: Deployed) -> None:
    assert deployed.gateway["queryCache"] == {"entries": 10_000, "ttl": "300s"}


def test_the_edge_speaks_http_3_and_says_so_with_the_port_that_clients_see(deployed: Deployed) -> None:
    for line in (
        "listen 8443 quic reuseport;",
        "http2 on;",
        "http3 on;",
        "add_header Alt-Svc 'h3=\":443\"; ma=86400' always;",
        "keepalive_requests 1000;",
        "keepalive_timeout 75s;",
    ):
        assert line in deployed.nginx


def test_udp_443_is_open_at_every_layer(deployed: Deployed) -> None:
    assert deployed.inputs["Listener", "edge"]["protocol"] == "TCP_UDP"
    assert deployed.inputs["Listener", "edge"]["port"] == 443
    assert deployed.inputs["TargetGroup", "edge"]["protocol"] == "TCP_UDP"
    rules = [value for (kind, _), value in deployed.inputs.items() if kind == "SecurityGroupIngressRule"]
    assert any(one["ipProtocol"] == "udp" and one["fromPort"] == 443 for one in rules)
    ports = deployed.inputs["NetworkPolicy", "edge"]["spec"]["ingress"][0]["ports"]
    assert {one["protocol"] for one in ports} == {"TCP", "UDP"}


def test_compression_is_for_texts_and_never_for_streams(deployed: Deployed) -> None:
    assert "gzip_min_length 1024;" in deployed.nginx
    assert "brotli_comp_level 4;" in deployed.nginx
    assert not re.search(r"(gzip|brotli)_types[^;]*(event-stream|ndjson)", deployed.nginx)
    assert "proxy_buffering off;" in deployed.nginx


def test_the_gateway_scales_as_the_report_says(deployed: Deployed) -> None:
    spec = deployed.scaler("gateway")
    assert spec["minReplicaCount"] == 3
    targets = {name: one["metadata"]["value"] for name, one in deployed.triggers("gateway").items()}
    assert targets == {"cpu": "60", "memory": "70"}
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleUp"]["policies"][0]["periodSeconds"] == 30
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] in (120, 300)
    # tests/kubernetes shows that an update leaves the count to the autoscaler.
    assert deployed.inputs["Deployment", "gateway"]["spec"]["replicas"] == spec["minReplicaCount"], (
        "a new service starts with its fewest"
    )


def test_production_scales_from_3_to_50(prod: Simulated) -> None:
    found = Deployed(prod)
    for name in ("gateway", "worker-chat"):
        spec = found.scaler(name)
        assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (3, 50)


def test_workers_are_not_judged_by_memory_which_their_models_fill(prod: Simulated) -> None:
    assert "memory" not in Deployed(prod).triggers("worker-chat")


def test_workers_follow_the_wait_for_a_slot_of_the_slowest_requests(prod: Simulated) -> None:
    wait = Deployed(prod).triggers("worker-chat")["slot-wait"]
    assert (wait["metadata"]["threshold"], wait["metricType"]) == ("100", "Value")
    assert "histogram_quantile(0.95," in wait["metadata"]["query"]


def test_production_preloads_the_reports_models(prod: Simulated) -> None:
    found = Deployed(prod)
    ready = [
        word
        for name in ("worker-chat", "worker-code")
        for word in found.container(name)["readinessProbe"]["exec"]["command"]
    ]
    assert {"llama2:7b", "codellama:7b", "mistral:7b"} <= set(ready)
    workers = found.gateway["workers"]
    chat, code = workers["limits"]
    assert (chat["preload"], code["preload"]) == (["llama2:7b", "mistral:7b"], ["codellama:7b"])
    assert min(chat["memory"], code["memory"]) > 20 * 1024**3, "of the pool's smallest GPU"
    assert not workers["pull"], "its workers read a store that a job fills"


def test_the_database_takes_what_the_pools_may_open(deployed: Deployed) -> None:
    parameters = {
        one["name"]: one["value"] for one in deployed.inputs["ParameterGroup", "database"]["parameters"]
    }
    pool = deployed.pgbouncer
    replicas = deployed.inputs["Deployment", "pgbouncer"]["spec"]["replicas"]
    wanted = replicas * (int(pool["default_pool_size"]) + int(pool["reserve_pool_size"]))
    assert wanted <= int(parameters["max_connections"])
    assert parameters["rds.force_ssl"] == "1"


def test_the_cdn_caches_what_is_public_and_nothing_else(prod: Simulated) -> None:
    deployed = Deployed(prod)
    usual, *kept = deployed.inputs["Ruleset", "cache"]["rules"]
    assert usual["actionParameters"] == {"cache": False}
    assert [one["actionParameters"]["edgeTtl"]["mode"] for one in kept] == ["bypass_by_default"] * 2, (
        "what the edge does not allow is not kept"
    )
    allowed = deployed.file("edge", "nginx.conf")
    assert "max-age=31536000, immutable" in allowed
    assert "s-maxage=300" in allowed
