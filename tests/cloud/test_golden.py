"""What the cloud stacks are made of, as a review sees it change."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.conftest import Simulated
from tests.conftest import Golden

GOLDEN = Path(__file__).parent / "golden"
SECRET = "4dabf18193072939515e22adb298388d"
CHANGING = (
    (re.compile(r"sha256:[0-9a-f]{64}"), "sha256:DIGEST"),
    (re.compile(r"(ollamamax-[a-z-]+):[0-9a-f]{12}\b"), r"\1:TAG"),
    (re.compile(r"\b([a-z-]+)-[0-9a-f]{12}\b"), r"\1-HASH"),
    (re.compile(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\s*"), "CERTIFICATE"),
)
"""What every deployment has otherwise."""


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_the_stack_is_the_recorded_one(request: pytest.FixtureRequest, stack: str, golden: Golden) -> None:
    deployed: Simulated = request.getfixturevalue(stack)
    shown = {
        key(one["urn"]): {
            "parent": key(one.get("parent", "")),
            "dependsOn": sorted(map(key, one.get("dependencies", []))),
            "protect": one.get("protect", False),
            "inputs": plain(one.get("inputs", {})),
        }
        for one in deployed.resources()
        if not one["type"].startswith(("pulumi:pulumi:", "pulumi:providers:"))
    }
    golden(GOLDEN / f"{stack}.json", json.dumps(shown, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def test_no_two_resources_have_one_urn_and_all_that_is_named_is_there(prod: Simulated) -> None:
    urns = [one["urn"] for one in prod.resources()]
    assert len(urns) == len(set(urns))
    for one in prod.resources():
        named = {one.get("parent", ""), *one.get("dependencies", [])} - {""}
        assert named <= set(urns), one["urn"]


def key(urn: str) -> str:
    """Return the type and name in a URN."""
    *_, types, name = urn.split("::") if urn else ("", "")
    return f"{types.rpartition('$')[2]}::{name}" if urn else ""


def plain(value: Any) -> Any:
    """Return inputs without what every deployment has otherwise, and without files: they have goldens too."""
    match value:
        case {"ciphertext": _, **rest} if SECRET in rest:
            return "[secret]"
        case dict():
            return dict(entries(value))
        case list():
            return [plain(one) for one in value]
        case str():
            for pattern, word in CHANGING:
                value = pattern.sub(word, value)
            return "[rendered]" if value.count("\n") > 3 else value
    return value


def entries(value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if name not in ("__defaults", "contextDigest"):
            yield name, plain(inner)
