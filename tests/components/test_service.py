"""The description of a service."""

import dataclasses
from pathlib import Path

import pytest

from components import service
from components.service import Exposure, Limits, Port, Service

PLAIN = Service(name="some", image="some", limits=Limits(memory_mib=64, cpus=0.5))


def test_a_description_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PLAIN.name = "other"  # type: ignore[misc]


def test_a_service_has_no_more_than_it_asks_for() -> None:
    assert PLAIN.ports == ()
    assert PLAIN.volumes == ()
    assert PLAIN.secrets == {}
    assert PLAIN.scratch == {"/tmp": 64}  # noqa: S108
    assert PLAIN.fixed_address is False


def test_a_port_is_published_only_when_told_and_then_on_loopback() -> None:
    assert Port(80).published is None
    assert Port(80, published=8080).exposure is Exposure.LOOPBACK


def test_descriptions_share_no_defaults() -> None:
    other = Service(name="other", image="other", limits=PLAIN.limits)
    assert other.env is not PLAIN.env


def test_no_service_runs_as_root() -> None:
    user, _, _ = service.USER.partition(":")
    assert int(user) > 0


def test_a_description_knows_no_target() -> None:
    words = Path(service.__file__).read_text()
    for word in ("pulumi_docker", "pulumi_kubernetes", "import docker"):
        assert word not in words
