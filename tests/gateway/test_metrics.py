"""What rules and dashboards name is what the platform's parts say of themselves when Prometheus asks."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace

import docker
import httpx
import pytest
from docker.models.containers import Container

from components.service import Service
from tests.containers import serving
from tests.e2e.waiting import eventually
from tests.gateway.conftest import LOAD_S, Parts
from tests.identity import Identity
from tests.metrics import emitted, made, named_in, used
from tests.templates.rendered import PASSWORD, plain_config, wait_until_healthy

PROBE = "/probe?module=edge&target=https://edge:8443/api/version"
ASKED = {
    "gateway": "http://{}:9090/metrics",
    "edge": "http://{}:8082/metrics",
    "exporter-machine": "http://{}:9100/metrics",
    "exporter-probe": "http://{}:9115" + PROBE,
    "exporter-redis": "http://{}:9121/metrics",
    "exporter-pgbouncer": "http://{}:9127/metrics",
    "exporter-postgres": "http://{}:9187/metrics",
    "autoscaler": "http://{}:9090/metrics",
    "alertmanager": "https://{}:9093/metrics",
    "prometheus": "https://{}:9090/metrics",
}
Ask = Callable[..., str]
ELSEWHERE = ("DCGM_", "aws_")
"""Of exporters whose hardware or cloud is not here: tests/components/aws/test_telemetry.py has the names."""


@pytest.fixture(scope="module")
def ask(
    client: docker.DockerClient, parts: Parts, services: Mapping[str, Service], identity: Identity
) -> Iterator[Ask]:
    """Return a function that asks a running part for its metrics, or for another page."""
    (network,) = client.networks.list(names=[parts.network])
    with ExitStack() as stack:
        migrations = stack.enter_context(serving(client, network, services["migrations"], identity))
        assert migrations.wait(timeout=60)["StatusCode"] == 0, migrations.logs().decode()
        started: dict[str, Container] = {}
        for name in ASKED:
            service = services[name]
            if name == "gateway":
                service = preloading(service)
            elif name == "edge":
                service = before(service, address(started["gateway"], parts.network))
            started[name] = stack.enter_context(serving(client, network, service, identity))
            wait_until_healthy(started[name], service)

        yield lambda name, url=None: scraped(started[name], parts.network, url or ASKED[name])


@pytest.fixture(scope="module")
def texts(ask: Ask) -> Mapping[str, str]:
    """Return what each part answers to a scrape."""
    eventually(lambda: "ollamamax_model_loaded{" in ask("gateway"), LOAD_S, "a model is in memory")
    told = "prometheus_notifications_errors_total{"
    eventually(lambda: told in ask("prometheus"), LOAD_S, "Prometheus knows its Alertmanager")
    return {name: ask(name) for name in ASKED}


def preloading(gateway: Service) -> Service:
    """Return the gateway with a model that its workers are always to have in memory."""
    text = plain_config(gateway)["gateway.yaml"]
    assert "preload: []" in text
    return replace(gateway, config={"gateway.yaml": text.replace("preload: []", 'preload: ["tiny"]')})


def before(edge: Service, gateway: str) -> Service:
    """Return the edge before the gateway at this address."""
    text = re.sub(r"172\.30\.84\.\d+", gateway, plain_config(edge)["nginx.conf"])
    assert gateway in text
    return replace(edge, config={"nginx.conf": text})


def address(container: Container, network: str) -> str:
    """Return the address of a container."""
    container.reload()
    found: str = container.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]
    return found


def scraped(container: Container, network: str, url: str) -> str:
    """Return what a part answers."""
    with httpx.Client(verify=False, auth=("prometheus", PASSWORD), trust_env=False, timeout=30) as asking:  # noqa: S501
        answer = asking.get(url.format(address(container, network)))
    assert answer.status_code == 200, answer.text
    return answer.text


def test_the_platform_emits_every_metric_that_rules_and_dashboards_name(texts: Mapping[str, str]) -> None:
    found: set[str] = set().union(*map(emitted, texts.values()))
    missing = {name for name in used() if not name.startswith(ELSEWHERE)} - found
    assert missing == set(), "rules or dashboards name what nobody emits"


def test_the_edge_is_found_to_answer_although_nobody_shows_a_key(texts: Mapping[str, str]) -> None:
    assert "\nprobe_success 1\n" in texts["exporter-probe"]
    assert "\nprobe_http_status_code 401\n" in texts["exporter-probe"]


def test_an_alert_of_prometheus_reaches_alertmanager(ask: Ask) -> None:
    # No gateway has the name here that Prometheus asks for.
    alerts = "https://{}:9093/api/v2/alerts"
    eventually(lambda: '"GatewayDown"' in ask("alertmanager", alerts), 180, "the alert is told")


def test_a_metric_that_nobody_emits_would_be_missed(texts: Mapping[str, str]) -> None:
    found: set[str] = set().union(*map(emitted, texts.values()))
    assert named_in('sum by (le) (rate(ollamamax_no_such_thing_bucket{code="200"}[5m]))') - found


def test_names_are_read_out_of_expressions() -> None:
    assert named_in('a:b{c="d"} > 1e6 and on (e) max by (f) (rate(g_total[5m] offset 1d)) * 3600') == {
        "a:b",
        "g_total",
    }
    assert len(made()) > 50
