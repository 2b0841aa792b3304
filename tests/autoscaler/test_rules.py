"""What Prometheus records as a pool's load, by its own tester of rules."""

from collections.abc import Iterator

import docker
import pytest
import yaml
from docker.models.containers import Container

from components import scaling
from components.rendering import render
from ollamamax_autoscaler.prometheus import LOAD
from tests.containers import build
from tests.templates.rendered import archive, output_of

AT = "5m"
UP = 'up{job="gateway",instance="%s"}'
LOADS = 'ollamamax_pool_load{pool="%s",model="%s",instance="%s"}'


@pytest.fixture
def tester() -> Iterator[Container]:
    """Return a container that runs the tests in ``load.test.yml`` once they are in it."""
    client = docker.from_env()
    container = client.containers.create(
        build("prometheus"),
        entrypoint="/usr/bin/promtool",
        command=["test", "rules", "/etc/ollamamax/load.test.yml"],
        network_mode="none",
    )
    yield container
    container.remove(force=True)
    client.close()


def recorded(tester: Container, series: dict[str, str], loads: dict[str, float]) -> None:
    """Assert what is recorded of ``series``, by pool."""
    tests = {
        "rule_files": ["load.rules.yml"],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": LOAD,
                        "eval_time": AT,
                        "exp_samples": [
                            {"labels": f'{LOAD}{{pool="{pool}"}}', "value": load}
                            for pool, load in loads.items()
                        ],
                    }
                ],
            }
        ],
    }
    rules = render("prometheus/load.rules.yml.j2", gateways_seen=scaling.GATEWAYS_SEEN)
    files = {"load.rules.yml": rules, "load.test.yml": yaml.safe_dump(tests)}
    tester.put_archive("/etc/ollamamax", archive(files, {}))
    tester.start()
    assert tester.wait(timeout=60)["StatusCode"] == 0, output_of(tester)


def test_the_load_is_that_of_the_model_with_most_of_it_over_all_gateways(tester: Container) -> None:
    series = {
        UP % "a": "1x30",
        UP % "b": "1x30",
        LOADS % ("chat", "one", "a"): "3x30",
        LOADS % ("chat", "one", "b"): "4x30",
        LOADS % ("chat", "two", "b"): "5x30",
        LOADS % ("code", "one", "a"): "2x30",
        LOADS % ("idle", "one", "a"): "0x30",
    }
    recorded(tester, series, {"chat": 7, "code": 2, "idle": 0})


def test_a_gateway_that_is_not_seen_is_taken_to_have_as_much_as_the_others(tester: Container) -> None:
    series = {UP % "a": "1x30", UP % "b": "0x30", LOADS % ("chat", "one", "a"): "3x30"}
    recorded(tester, series, {"chat": 6})


def test_without_a_gateway_nothing_is_recorded(tester: Container) -> None:
    recorded(tester, {UP % "a": "0x30", LOADS % ("chat", "one", "a"): "3x4 stale"}, {})
