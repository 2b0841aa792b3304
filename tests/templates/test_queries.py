"""The queries that replica counts go by, answered by the real Prometheus: what they say, and when nothing."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml

from components import scaling
from components.service import Service, Serving
from tests.templates.rendered import Starter, run_in

SERVING = Serving("chat", 4, ("tiny", "llama3.2:3b"))
TINY = 'pool="chat",model="tiny:latest"'
AGE_S = 300
"""When the queries are asked, after the series begin."""


def gateways(*up: str) -> dict[str, str]:
    """Return whether each gateway could be scraped, as promtool writes series."""
    return {f'up{{job="gateway",instance="{index}"}}': values for index, values in enumerate(up)}


def load(values: str, labels: str = TINY, instance: str = "0") -> dict[str, str]:
    return {f'ollamamax_pool_load{{{labels},instance="{instance}"}}': values}


def waits(model: str, within_100_ms: str, within_250_ms: str) -> dict[str, str]:
    """Return a histogram of waits, of which some are up to 100 ms and all up to 250."""
    bounds = {"0.05": "0x20", "0.1": within_100_ms, "0.25": within_250_ms, "+Inf": within_250_ms}
    return {
        f'ollamamax_slot_wait_seconds_bucket{{model="{model}",le="{bound}"}}': values
        for bound, values in bounds.items()
    }


def said(replicas: str, at: str, pool: str = "chat") -> dict[str, str]:
    """Return a forecast, and the time at which it says that it was made."""
    return {
        f'ollamamax_forecast_replicas{{pool="{pool}"}}': replicas,
        f'ollamamax_forecast_timestamp_seconds{{pool="{pool}"}}': at,
    }


WAIT = scaling.slot_wait(SERVING, 60, 200)
IN_FLIGHT = scaling.in_flight(SERVING)
ACTIVITY = scaling.activity(SERVING, 60)
FORECAST = scaling.forecast(SERVING, 60)
REQUESTS = f"ollamamax_pool_requests_total{{{TINY}}}"
ALL_UP = gateways("1x20", "1x20")
CASES: dict[str, tuple[str, Mapping[str, str], float | None]] = {
    "a wait": (WAIT, load("1x20") | waits("tiny:latest", "0+10x20", "0+10x20"), 97.5),
    "a long wait counts for twice the target": (
        WAIT,
        load("1x20") | waits("tiny:latest", "0x20", "0+10x20"),
        200,
    ),
    "a name with dots is that name": (WAIT, load("1x20") | waits("llama302:3b", "0x20", "0+10x20"), 0),
    "of another pool": (WAIT, load("1x20") | waits("other:latest", "0x20", "0+10x20"), 0),
    "no requests, no wait": (WAIT, load("0x20") | waits("tiny:latest", "7x20", "9x20"), 0),
    "no request ever, no wait": (WAIT, load("0x20"), 0),
    "no gateway, no answer": (WAIT, waits("tiny:latest", "7x20", "9x20"), None),
    "nothing at all, no answer": (WAIT, {}, None),
    "what all gateways have": (IN_FLIGHT, ALL_UP | load("3x20") | load("4x20", instance="1"), 7),
    "of the model with most": (
        IN_FLIGHT,
        ALL_UP | load("3x20") | load("5x20", 'pool="chat",model="llama3.2:3b"'),
        5,
    ),
    "of its own pool": (
        IN_FLIGHT,
        ALL_UP | load("3x20") | load("9x20", 'pool="code",model="tiny:latest"'),
        3,
    ),
    "a gateway that is not seen has as much": (IN_FLIGHT, gateways("1x20", "0x20") | load("3x20"), 6),
    "but not at once": (IN_FLIGHT, gateways("1x20", "1x18 0 0") | load("3x20"), 3),
    "no gateway, no load": (IN_FLIGHT, gateways("0x20"), None),
    "nothing to do is known": (IN_FLIGHT, ALL_UP | load("0x20"), 0),
    "requests that no scrape saw": (ACTIVITY, load("0x20") | {REQUESTS: "0+15x20"}, 1),
    "nobody asks": (ACTIVITY, {REQUESTS: "9x20"}, 0),
    "nobody knows whether somebody asks": (ACTIVITY, {}, None),
    "a forecast": (FORECAST, said("7x20", "0+15x20"), 7),
    "a forecast of another pool": (FORECAST, said("7x20", "0+15x20", "code"), 0),
    "an old forecast": (FORECAST, said("7x20", "239x20"), 0),
    "a young one": (FORECAST, said("7x20", "241x20"), 7),
    "one from a clock that is ahead": (FORECAST, said("7x20", "361x20"), 0),
    "no number": (FORECAST, said(" ".join(["NaN"] * 21), "0+15x20"), 0),
    "less than nothing": (FORECAST, said("-7x20", "0+15x20"), 0),
    "no forecast": (FORECAST, {}, 0),
}


def document() -> dict[str, Any]:
    """Return every case as promtool reads them."""
    return {
        "evaluation_interval": "15s",
        "tests": [
            {
                "name": name,
                "interval": "15s",
                "input_series": [{"series": series, "values": values} for series, values in series_.items()],
                "promql_expr_test": [
                    {
                        "expr": query,
                        "eval_time": f"{AGE_S}s",
                        "exp_samples": [] if value is None else [{"labels": "{}", "value": value}],
                    }
                ],
            }
            for name, (query, series_, value) in CASES.items()
        ],
    }


@pytest.mark.parametrize("wrong", [False, True], ids=["as expected", "a wrong expectation"])
def test_prometheus_answers_what_replica_counts_go_by(
    wrong: bool, services: Mapping[str, Service], started: Starter
) -> None:
    tests = document()
    if wrong:
        tests["tests"][-1]["promql_expr_test"][0]["exp_samples"][0]["value"] = 1
    prometheus = services["prometheus"]
    described = replace(prometheus, config={**prometheus.config, "queries.yml": yaml.safe_dump(tests)})
    with started(described) as container:
        result = run_in(container, "promtool", "test", "rules", "/etc/ollamamax/queries.yml")
    assert (result.returncode == 0) != wrong, result.stdout
    assert ("exp:" in result.stdout) == wrong, "it is the answer that differs"
