"""The same program gives the plans and states that Pulumi's own engine and plugin recorded for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.secrets import Crypter
from engine.values import reveal, thaw
from rehearsal.controlplane import ControlPlane
from tests.kubernetes.stack import Stack, get

REFERENCE = Path(__file__).parents[1] / "engine" / "reference" / "kubernetes"
PASSPHRASE = "reference"


def load(name: str) -> Any:
    return json.loads((REFERENCE / f"{name}.json").read_text())


@pytest.fixture
def recorded(plane: ControlPlane, tmp_path: Path) -> Iterator[Stack]:
    """A stack with the reference's program and salt."""
    stack = Stack(tmp_path, plane)
    salt = load("state-after-up")["checkpoint"]["latest"]["secrets_providers"]["state"]["salt"]
    (stack.folder / "Pulumi.yaml").write_text("name: reference\nruntime: python\nmain: program\n")
    (stack.folder / "state/Pulumi.dev.yaml").write_text(f"encryptionsalt: {salt}\n")
    stack.env["PULUMI_CONFIG_PASSPHRASE"] = PASSPHRASE
    stack.state_file = stack.folder / "state/.pulumi/stacks/reference/dev.json"
    _write(stack, "reference")
    yield stack
    stack.clean()


def _write(stack: Stack, mode: str) -> None:
    text = (REFERENCE / "program.py").read_text().replace('"mode": "reference"', f'"mode": "{mode}"')
    (stack.folder / "program" / "__main__.py").write_text(text)


def _plain(text: str) -> str:
    """Put the same words for what differs from run to run."""
    text = re.sub(r"\b(platform|settings|token|gateway)-[0-9a-f]{8}", r"\1-NAME", text)
    text = re.sub(r"(cluster::|\"id\": \")[0-9a-f]{8}-[0-9a-f-]{27}", r"\1ID", text)
    drawn = "kubeconfig|creationTimestamp|last\\w+Time|created|modified|resourceVersion|uid"
    text = re.sub(rf'("(?:{drawn})": )"[^"]*"', r'\1"DRAWN"', text)
    text = re.sub(r"(pulumi-kubernetes-)[0-9a-f]{8}", r"\1OWNER", text)
    return re.sub(r"10\.96\.\d+\.\d+|(?<=NAME-)[0-9a-f]{1,10}", "DRAWN", text)


def _comparable(resource: dict[str, Any]) -> None:
    """Take out of a resource what may differ: the order of its dependencies, and how its fields are owned."""
    resource.get("dependencies", []).sort()
    if "managedFields" in (meta := resource.get("outputs", {}).get("metadata", {})):
        meta["managedFields"] = sorted(
            {one["manager"] for one in meta["managedFields"]} - {"pulumi-kubernetes"}
        )
        meta["managedFields"] = [
            one for one in meta["managedFields"] if not one.startswith("pulumi-kubernetes-")
        ]


def _plan(document: dict[str, Any]) -> Any:
    """Return a plan without what may differ: names, times, the order of what runs side by side."""
    assert document.pop("duration") > 0
    document.pop("diagnostics", None)  # warnings of the recording machine about its plugins
    document["steps"].sort(key=lambda step: step["urn"])
    for step in document["steps"]:
        for state in (step.get("oldState", {}), step.get("newState", {})):
            _comparable(state)
    return json.loads(_plain(json.dumps(document)))


def _state(document: dict[str, Any]) -> list[Any]:
    """Return the resources with open secrets."""
    latest = document["checkpoint"]["latest"]
    crypter = Crypter(PASSPHRASE, latest["secrets_providers"]["state"]["salt"])
    opened = reveal(thaw(latest["resources"], crypter.decrypt))
    for one in opened:
        _comparable(one)
    return [json.loads(_plain(json.dumps(one))) for one in sorted(opened, key=lambda one: str(one["urn"]))]


def test_plans_and_states_are_the_recorded_ones(recorded: Stack) -> None:
    assert _plan(recorded.preview()) == _plan(load("preview-create"))
    out = recorded.up().stdout
    assert "Resources:\n    + 7 created\n" in out
    assert _state(json.loads(recorded.state_file.read_text())) == _state(load("state-after-up"))
    assert _plan(recorded.preview()) == _plan(load("preview-same"))
    _write(recorded, "changed")
    assert _plan(recorded.preview()) == _plan(load("preview-change"))
    text = recorded.run("preview", "--diff").stdout
    assert _plain(text).split() == _plain((REFERENCE / "preview-change.txt").read_text()).split()
    out = recorded.up().stdout
    assert "Resources:\n    ~ 1 updated\n    +-1 replaced\n    2 changes. 5 unchanged\n" in out


def test_a_stack_that_the_cli_made_is_taken_over(recorded: Stack) -> None:
    recorded.run("preview")  # makes its folders
    recorded.state_file.parent.mkdir(parents=True)
    recorded.state_file.write_text((REFERENCE / "state-after-up.json").read_text())
    for one in recorded.latest["resources"]:
        if one["type"].startswith("kubernetes:"):
            path, inputs = recorded.path_of(one), dict(one["inputs"])
            if inputs["kind"] == "Secret":
                inputs["data"] = {"token": "bm90LWEtcmVhbC1vbmU="}
            recorded.plane.request(
                "post", f"{path.rpartition('/')[0]}?fieldManager=pulumi-kubernetes", inputs
            )
    assert recorded.preview()["changeSummary"] == {"same": 6, "update": 1}, "its kubeconfig is another one"
    _write(recorded, "changed")
    assert "~ 2 updated\n    +-1 replaced\n" in recorded.up().stdout
    gateway = next(one for one in recorded.latest["resources"] if one["type"].endswith(":Deployment"))
    entries = get(recorded.plane, recorded.path_of(gateway))["metadata"]["managedFields"]
    owners = {(one["manager"], one["operation"]) for one in entries if "subresource" not in one}
    assert owners == {("pulumi-kubernetes-cd1a53a3", "Apply")}, "the name that the CLI drew"
    assert "- 7 deleted" in recorded.run("destroy", "--yes").stdout
