"""Which API model stands behind which resource type."""

import ast
import importlib
from pathlib import Path

import pulumi

from engine.simulated import api, resource
from engine.simulated.operations import OPERATIONS, RENAMED
from tests.engine.simulated.catalogue import CATALOGUE

ROOT = Path(__file__).parents[3]
LISTED = 5
"""How many types are without a model. It only gets smaller."""


def test_types_without_a_model_are_listed_and_only_get_fewer() -> None:
    file = Path(resource.__file__).with_name("unmapped.txt")
    lines = file.read_text().splitlines()
    assert lines == sorted(set(lines)), "one a line, in order"
    assert len(lines) == LISTED, "write down the smaller number"
    mapped = [token for token in lines if token.startswith("aws:") and api.shape(token)]
    assert not mapped, "they have a model, so they are not listed"


def test_every_type_of_the_catalogue_has_a_model_or_is_listed() -> None:
    missing = {token for token, _ in CATALOGUE.values() if not api.shape(token)}
    assert missing <= resource.UNMAPPED
    assert api.shape("aws:acm/certificateValidation:CertificateValidation") is None


def test_operations_and_renamed_members_exist() -> None:
    for kind in OPERATIONS:
        area, noun = kind.split(":")
        assert api.shape(f"aws:{area}/{noun}:{noun}"), f"{kind}: no operation of {OPERATIONS[kind]}"
    for kind, names in RENAMED.items():
        area, noun = kind.split(":")
        for target in names.values():
            found = api.shape(f"aws:{area}/{noun}:{noun}")
            for step in target.split("."):
                assert found, target
                found = (found.item if found.type == "list" else found).members.get(step)
            assert found, f"{kind}: the API has no {target}"


def used() -> dict[str, str]:
    """The resource types of clouds that our programs make, with a file that makes each."""
    found: dict[str, str] = {}
    for file in sorted(
        path for folder in ("components", "bootstrap") for path in (ROOT / folder).rglob("*.py")
    ):
        tree = ast.parse(file.read_text())
        modules = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module in ("pulumi_aws", "pulumi_cloudflare")
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                where = modules.get(getattr(node.func.value, "id", ""), "")
                cls = getattr(importlib.import_module(where), node.func.attr) if where else None
                if isinstance(cls, type) and issubclass(cls, pulumi.CustomResource):
                    found[cls.pulumi_type] = file.name  # type: ignore[attr-defined]  # a decorator sets it
    return found


def test_every_type_that_our_programs_make_is_in_the_catalogue() -> None:
    types = {token: file for token, file in used().items() if "pulumi:providers" not in token}
    assert len(types) > 30, "the programs were read"
    missing = types.keys() - {token for token, _ in CATALOGUE.values()} - resource.UNMAPPED
    assert not missing, "a plausible one of each is made in the tests"
