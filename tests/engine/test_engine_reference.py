"""The same program gives the plans and states that Pulumi's own engine recorded for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from engine.provider import serve
from engine.secrets import Crypter
from engine.state import read_deployment
from engine.values import reveal, thaw
from tests.engine.bench import Bench
from tests.engine.recorded import REFERENCE, Docker, load

PASSPHRASE = "reference"


@pytest.fixture
def recorded(bench: Bench) -> Iterator[Bench]:
    """A bench with the reference's program and salt and the recorded plugin."""
    address, stop = serve(Docker())
    salt = load("state-after-up")["checkpoint"]["latest"]["secrets_providers"]["state"]["salt"]
    (bench.folder / "Pulumi.yaml").write_text("name: reference\nruntime: python\nmain: program\n")
    (bench.folder / "state/Pulumi.dev.yaml").write_text(f"encryptionsalt: {salt}\n")
    bench.env |= {
        "PULUMI_DEBUG_PROVIDERS": f"docker:{address.rpartition(':')[2]}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
    }
    bench.state_file = bench.folder / "state/.pulumi/stacks/reference/dev.json"
    _write(bench)
    yield bench
    stop()


def _write(bench: Bench, *changes: tuple[str, str]) -> None:
    text = (REFERENCE / "program.py").read_text()
    for before, after in changes:
        text = text.replace(before, after)
    (bench.folder / "program" / "__main__.py").write_text(text)


def _change(bench: Bench) -> None:
    _write(bench, ("memory=64", "memory=96"), ("MODE=reference", "MODE=changed"))


def _plain(text: str) -> str:
    """Put the same words for what differs from run to run."""
    text = re.sub(r"(service|data|backend)-[0-9a-f]{7}", r"\1-NAME", text)
    text = re.sub(r"(default_5_2_0::)[0-9a-f-]{36}", r"\1ID", text)
    return re.sub(r"20\d\d-\d\d-\d\dT[\d:.]+Z", "TIME", text)


def _plan(document: dict[str, Any]) -> Any:
    """Return a plan without what may differ: names, times, the order of what runs side by side."""
    assert document.pop("duration") > 0
    document.pop("diagnostics", None)  # warnings of the recording machine about its plugins
    document["steps"].sort(key=lambda step: step["urn"])
    for step in document["steps"]:
        for state in (step.get("oldState", {}), step.get("newState", {})):
            state.get("dependencies", []).sort()
    return json.loads(_plain(json.dumps(document)))


def _state(document: dict[str, Any]) -> list[str]:
    """Return the resources with open secrets, keys in their order."""
    latest = document["checkpoint"]["latest"]
    crypter = Crypter(PASSPHRASE, latest["secrets_providers"]["state"]["salt"])
    assert list(read_deployment(latest, lambda value: value).problems()) == []
    opened = reveal(thaw(latest["resources"], crypter.decrypt))
    for one in opened:
        one.get("dependencies", []).sort()
        if one["type"].startswith("pulumi:providers:"):
            one["id"] = "ID"
    return [_plain(json.dumps(one)) for one in sorted(opened, key=lambda one: str(one["urn"]))]


def test_plans_and_states_are_the_recorded_ones(recorded: Bench) -> None:
    bench = recorded
    assert _plan(bench.preview()) == _plan(load("preview-create"))
    out = bench.up().stdout
    assert 'Outputs:\n    container: "service-d9e62a8"\n    token    : [secret]\n' in out
    assert "Resources:\n    + 6 created\n" in out
    assert _state(json.loads(bench.state_file.read_text())) == _state(load("state-after-up"))
    assert _plan(bench.preview()) == _plan(load("preview-same"))
    _change(bench)
    assert _plan(bench.preview()) == _plan(load("preview-change"))
    text = bench.run("preview", "--diff").stdout
    assert _plain(text).split() == _plain((REFERENCE / "preview-change.txt").read_text()).split()
    assert [len(line) - len(line.lstrip()) for line in text.splitlines() if line.strip()] == [
        len(line) - len(line.lstrip()) for line in (REFERENCE / "preview-change.txt").read_text().splitlines()
    ], "indented alike"
    out = bench.up().stdout
    assert '  ~ container: "service-d9e62a8" => "service-4bebd43"\n    token    : [secret]\n' in out
    assert "Resources:\n    +-1 replaced\n    5 unchanged\n" in out
    assert _state(json.loads(bench.state_file.read_text())) == _state(load("state-after-change"))


def test_the_keys_of_a_plan_come_in_the_recorded_order(recorded: Bench) -> None:
    def keys(value: Any) -> Any:
        if isinstance(value, dict):
            return [(key, keys(item)) for key, item in value.items()]
        return [keys(item) for item in value] if isinstance(value, list) else None

    recorded.up()
    _change(recorded)
    ours, theirs = recorded.preview(), load("preview-change")
    theirs.pop("diagnostics")
    assert keys(ours) == keys(theirs)


def test_a_state_that_the_cli_wrote_is_taken_over(recorded: Bench) -> None:
    recorded.run("preview")
    recorded.state_file.parent.mkdir(parents=True)
    recorded.state_file.write_text((REFERENCE / "state-after-up.json").read_text())
    out = recorded.run("preview").stdout
    assert "~ 1 to update" in out
    assert "5 unchanged" in out
    assert "- 6 deleted" in recorded.run("destroy", "--yes").stdout
