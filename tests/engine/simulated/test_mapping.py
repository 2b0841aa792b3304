"""Which API model stands behind which resource type."""

from pathlib import Path

from engine.simulated import api, resource
from engine.simulated.operations import OPERATIONS, RENAMED
from tests.engine.simulated.catalogue import CATALOGUE

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
