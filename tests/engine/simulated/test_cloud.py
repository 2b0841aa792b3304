"""The folder of the simulated cloud: what is done there by hand, what is kept out of it, what stays in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.backend import write_file
from engine.errors import EngineError
from engine.simulated.cloud import Cloud
from engine.values import Secret
from tests.engine.providers.harness import Plugin
from tests.engine.simulated.catalogue import CATALOGUE, Made
from tests.engine.simulated.conftest import Aws

VPC, ROLE = "aws:ec2/vpc:Vpc", "aws:iam/role:Role"


def _file(folder: Path, start: str) -> Path:
    (found,) = (folder / "cloud").glob(f"{start}*.json")
    return found


def _edit(file: Path, **outputs: Any) -> None:
    document = json.loads(file.read_text())
    document["outputs"] = {**document["outputs"], **outputs}
    file.write_text(json.dumps(document))


def test_what_was_changed_by_hand_is_read_and_would_be_put_right(aws: Aws, tmp_path: Path) -> None:
    made = Made(aws()).make("group")
    inputs, outputs, id_ = made.inputs["vpc"], made.outputs["vpc"], made.ids["vpc"]
    _edit(_file(tmp_path, "ec2-vpc-Vpc"), enableDnsHostnames=False, instanceTenancy="dedicated")
    plugin = aws()
    now, live = plugin.found(VPC, id_, inputs, outputs)
    assert live == {**outputs, "enableDnsHostnames": False, "instanceTenancy": "dedicated"}
    assert now == {**inputs, "enableDnsHostnames": False}, "the program says nothing of tenancy"
    assert plugin.changes(VPC, live, now, inputs) == {"enableDnsHostnames": "update"}
    again = plugin.update(VPC, id_, live, inputs)
    assert plugin.read(VPC, id_, inputs, again) == again


def test_what_was_removed_by_hand_is_gone(aws: Aws, tmp_path: Path) -> None:
    made = Made(aws()).make("vpc")
    _file(tmp_path, "ec2-vpc-Vpc").unlink()
    plugin = aws()
    assert plugin.read(VPC, made.ids["vpc"], made.inputs["vpc"], made.outputs["vpc"]) is None
    plugin.delete(VPC, made.ids["vpc"], made.outputs["vpc"])


def test_what_was_made_by_hand_keeps_what_it_uses(aws: Aws, tmp_path: Path) -> None:
    made = Made(aws()).make("a")
    interface = {
        "type": "aws:ec2/networkInterface:NetworkInterface", "id": "eni-0123456789abcdef0", "urn": "by hand",
        "seed": "by hand 0", "inputs": {"subnetId": made.ids["a"]}, "outputs": {},
    }  # fmt: skip
    (tmp_path / "cloud/left-by-a-controller.json").write_text(json.dumps(interface))
    made.plugin = aws()
    with pytest.raises(Exception, match=r"can't be deleted: DependencyViolation: by hand uses it$"):
        made.delete("a")


def test_the_next_thing_of_a_name_has_another_id_and_in_the_end_nothing_is_left(
    aws: Aws, tmp_path: Path
) -> None:
    made = Made(aws()).make("vpc", "key")
    plugin, seen = made.plugin, {made.ids["vpc"]}
    for _ in range(2):
        plugin.delete(VPC, made.ids["vpc"], made.outputs["vpc"])
        plugin = aws()
        made.ids["vpc"], made.outputs["vpc"] = plugin.create(VPC, made.inputs["vpc"], "vpc")
        seen.add(made.ids["vpc"])
    assert len(seen) == 3
    made.plugin = plugin
    made.delete("vpc")
    made.delete("key")
    assert list((tmp_path / "cloud").iterdir()) == []


def test_everything_of_the_catalogue_can_be_deleted_again(made: Made, tmp_path: Path) -> None:
    made.make()
    assert len(list((tmp_path / "cloud").iterdir())) == len(CATALOGUE)
    for name in reversed(list(made.ids)):
        made.delete(name)
    assert list((tmp_path / "cloud").iterdir()) == []


def test_an_interrupted_creation_is_found_by_its_urn(plugin: Plugin) -> None:
    id_, outputs = plugin.create(ROLE, {"assumeRolePolicy": "{}", "name": "r"})
    assert plugin.read(ROLE, "no id", {"assumeRolePolicy": "{}", "name": "r"}, {}) == outputs
    assert plugin.read(ROLE, "no id", {"assumeRolePolicy": "{}"}, {}, name="other") is None
    assert id_ == "r"


def test_what_is_imported_has_no_changes(plugin: Plugin) -> None:
    id_, _ = plugin.create(ROLE, {"assumeRolePolicy": "{}", "name": "r", "path": "/a/"})
    outputs = plugin.read(ROLE, id_, {}, {})
    assert outputs
    assert plugin.changes(ROLE, outputs, {}, {"assumeRolePolicy": "{}", "path": "/b/"}) == {
        "path": "update-replace"
    }


def test_secrets_are_not_in_the_folder(plugin: Plugin, tmp_path: Path) -> None:
    database = "aws:rds/instance:Instance"
    inputs = {
        "instanceClass": "db.m7g.large", "engine": "postgres", "password": Secret("hunter2hunter2"),
        "tags": {"owner": Secret("somebody")},
    }  # fmt: skip
    id_, outputs = plugin.create(database, plugin.check(database, inputs))
    assert (outputs["password"], outputs["tags"]["owner"]) == (Secret("hunter2hunter2"), Secret("somebody"))
    assert outputs["tagsAll"] == Secret({"owner": "somebody"})
    kept = _file(tmp_path, "rds-instance").read_text()
    assert "hunter2" not in kept
    assert "somebody" not in kept
    assert plugin.read(database, id_, inputs, outputs) == outputs
    assert plugin.changes(database, outputs, inputs, inputs) == {}


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "thing.json").write_text("{")
    with pytest.raises(EngineError, match=rf"^{tmp_path}/thing.json: no thing of the simulated cloud: "):
        Cloud(tmp_path, write_file)
