"""The two pages, and what the health check makes of them."""

import http.client
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from ollamamax_autoscaler import __main__ as program
from ollamamax_autoscaler.metrics import Metrics
from ollamamax_autoscaler.server import Pulse, serve

LONG_S = 600.0


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Return where the pages are of a program that must have been at work within so many seconds."""
    metrics = Metrics()
    metrics.replicas.labels("chat").set(7)
    server = serve(metrics.registry, lambda: {"pools": []}, Pulse(request.param), 0)
    yield server.server_port
    server.shutdown()
    server.server_close()


def answer(port: int, page: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", page)
    with connection.getresponse() as response:
        return response.status, response.read().decode()


@pytest.mark.parametrize("port", [LONG_S], indirect=True)
def test_at_work_it_is_alive_and_shows_its_metrics(port: int) -> None:
    assert answer(port, "/livez") == (200, "alive\n")
    status, text = answer(port, "/metrics")
    assert status == 200
    assert 'ollamamax_forecast_replicas{pool="chat"} 7.0\n' in text
    assert answer(port, "/forecasts") == (200, '{"pools": []}')
    assert answer(port, "/")[0] == 404
    assert program._healthcheck(port) == 0


@pytest.mark.parametrize("port", [0.0], indirect=True)
def test_one_that_is_stuck_fails_its_health_check(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(port, "/livez") == (503, "stuck\n")
    assert program._healthcheck(port) == 1
    assert "503" in capsys.readouterr().err


@pytest.mark.parametrize("port", [LONG_S], indirect=True)
def test_a_port_that_is_taken_is_named(port: int) -> None:
    with pytest.raises(OSError, match=f"port {port}: Address already in use"):
        serve(CollectorRegistry(), dict, Pulse(LONG_S), port)
