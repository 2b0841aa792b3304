"""Dashboards: what Grafana needs is there, and where the stack has no such part there is no panel."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.dashboards import NAMES, dashboard, write
from stacks import Settings
from stacks.loading import read

STACKS = Path(__file__).parents[2] / "stacks"


def of(stack: str) -> Settings:
    return read(STACKS / f"Pulumi.{stack}.yaml", stack)


def expressions(panels: list[dict[str, Any]]) -> list[str]:
    return [target["expr"] for panel in panels for target in panel["targets"]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stack", ["local", "prod"])
def test_panels_stand_beside_each_other_and_ask_the_stacks_prometheus(stack: str, name: str) -> None:
    panels = dashboard(name, of(stack), stack)["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(panels) == len({panel["id"] for panel in panels}) >= 3
    for panel in panels:
        assert panel["title"]
        assert panel["targets"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"ollamamax"}
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None
        assert [step["value"] for step in steps[1:]] == sorted(step["value"] for step in steps[1:])


def test_what_a_stack_lacks_has_no_panel() -> None:
    here, cloud = (expressions(dashboard("nodes", of(stack), stack)["panels"]) for stack in ("local", "prod"))
    assert any("node_filesystem" in one for one in here)
    assert not any("node_filesystem" in one for one in cloud)
    assert any("DCGM" in one for one in cloud)
    assert not any("DCGM" in one for one in here)


def test_cost_is_reckoned_from_the_stacks_own_prices() -> None:
    here, cloud = (dashboard("cost", of(stack), stack)["panels"] for stack in ("local", "prod"))
    assert not [panel for panel in here if "USD" in panel["title"]]
    money = [panel for panel in cloud if "USD" in panel["title"]]
    assert len(money) == 2
    assert all("estimate" in panel["title"] for panel in money)


def test_the_folder_is_one_that_grafana_provisions_from(tmp_path: Path) -> None:
    files = write(of("local"), "local", tmp_path)
    assert all(file.exists() for file in files)
    dashboards = [json.loads(file.read_text()) for file in files if file.suffix == ".json"]
    assert len({one["uid"] for one in dashboards}) == len(NAMES)
    (source,) = yaml.safe_load((tmp_path / "datasources" / "ollamamax.yaml").read_text())["datasources"]
    assert source["uid"] == "ollamamax"
    assert source["secureJsonData"]["basicAuthPassword"].startswith("${"), "no secret is written"
    (provider,) = yaml.safe_load((tmp_path / "dashboards" / "ollamamax.yaml").read_text())["providers"]
    assert provider["options"]["path"].endswith("/dashboards/ollamamax")
