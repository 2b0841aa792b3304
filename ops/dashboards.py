"""Grafana's dashboards of a stack, and what provisions them: ``python -m ops dashboards``.

A template describes a dashboard by its panels and their queries; what Grafana wants to know beside that is
the same everywhere, and stands here.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from components.rendering import render
from stacks import cost, prices
from stacks.settings import Settings

NAMES = ("autoscaling", "cost", "edge", "models", "nodes", "platform", "stores")
SOURCE = {"type": "prometheus", "uid": "ollamamax"}
COLUMNS, WIDTH, HEIGHT = 2, 12, 8
"""Panels beside each other; a panel's size in Grafana's grid, which is 24 wide."""
COLOURS = ("green", "yellow", "red")
SCHEMA = 39
"""Version of Grafana's dashboard format: that of Grafana 11, which newer ones read."""


def write(settings: Settings, stack: str, folder: Path) -> list[Path]:
    """Write all files of a stack into ``folder``, laid out as Grafana's provisioning folder; return them."""
    files = {
        **{f"dashboards/ollamamax/{name}.json": _json(dashboard(name, settings, stack)) for name in NAMES},
        "dashboards/ollamamax.yaml": render("grafana/provider.yaml.j2"),
        "datasources/ollamamax.yaml": render("grafana/datasource.yaml.j2", stack=stack),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [folder / name for name in files]


def dashboard(name: str, settings: Settings, stack: str) -> dict[str, Any]:
    """Return one dashboard as Grafana reads it."""
    text = render(
        f"grafana/{name}.yml.j2",
        alerts=settings.alerts,
        cost=_hourly(settings),
        edge_connections=settings.edge.worker_processes * settings.edge.worker_connections,
        forecaster=settings.autoscaler is not None,
        gpu=bool(settings.aws and settings.gpu_pools),
        machine=settings.target == "docker",
        managed=settings.aws is not None,
    )
    found = yaml.safe_load(text)
    return {
        "uid": f"ollamamax-{name}",
        "title": f"OllamaMax {stack}: {found['title']}",
        "tags": ["ollamamax"],
        "schemaVersion": SCHEMA,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "panels": [_panel(index, panel) for index, panel in enumerate(found["panels"])],
    }


def _panel(index: int, panel: Mapping[str, Any]) -> dict[str, Any]:
    """Return a panel; its ``lines`` are what is aimed at, and from where on somebody is told."""
    lines = panel.get("lines", [])
    steps = [{"color": "text", "value": None}] + [
        {"color": colour, "value": line} for colour, line in zip(COLOURS, lines, strict=False)
    ]
    style = {"thresholdsStyle": {"mode": "dashed" if lines else "off"}}
    row, column = divmod(index, COLUMNS)
    return {
        "id": index + 1,
        "title": panel["title"],
        "type": panel.get("kind", "timeseries"),
        "datasource": SOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {
            "defaults": {
                "unit": panel["unit"],
                "custom": style,
                "thresholds": {"mode": "absolute", "steps": sorted(steps, key=_by_value)},
            },
            "overrides": [],
        },
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            for number, (legend, expr) in enumerate(panel["queries"].items())
        ],
    }


def _by_value(step: Mapping[str, Any]) -> float:
    """Return where a step begins: Grafana wants them in order, and the first to have no beginning."""
    return float("-inf") if step["value"] is None else float(step["value"])


def _hourly(settings: Settings) -> dict[str, float] | None:
    """Return what a stack on AWS costs an hour: at its fewest workers, for each more, and its budget."""
    if settings.cost is None:
        return None
    month = cost.estimate(settings).total
    fewest = sum(pool.autoscaling.min_replicas for pool in settings.gpu_pools)
    more = sum(pool.autoscaling.max_replicas for pool in settings.gpu_pools) - fewest
    return {
        "least": month.least / prices.HOURS,
        "each": (month.most - month.least) / prices.HOURS / more if more else 0.0,
        "workers": fewest,
        "budget": settings.cost.monthly_usd / prices.HOURS,
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
