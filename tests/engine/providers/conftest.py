"""Fixtures: a provider in this process, and a Docker daemon that is left as it was found."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.utils import kwargs_from_env

from engine.providers import PROVIDERS
from tests.engine.providers.harness import PREFIX, REFERENCE, Plugin


@pytest.fixture
def plugin(request: pytest.FixtureRequest) -> Iterator[Plugin]:
    """The package that the test module names in `PACKAGE`."""
    served = Plugin(PROVIDERS[request.module.PACKAGE]())
    yield served
    served.close()


@pytest.fixture
def daemon() -> Iterator[docker.APIClient]:
    """The Docker daemon; everything named as these tests name things is removed afterwards."""
    client = docker.APIClient(version="auto", **kwargs_from_env())
    _clean(client)
    yield client
    _clean(client)
    client.close()


def _clean(client: docker.APIClient) -> None:
    for container in client.containers(all=True, filters={"name": PREFIX}):
        client.remove_container(container["Id"], v=True, force=True)
    for network in client.networks(names=[PREFIX]):
        client.remove_network(network["Id"])
    for volume in client.volumes(filters={"name": PREFIX})["Volumes"] or []:
        client.remove_volume(volume["Name"], force=True)
    for image in client.images():
        for tag in image["RepoTags"] or []:
            if tag.startswith(PREFIX):
                with contextlib.suppress(docker.errors.APIError):
                    client.remove_image(tag, force=True)


@pytest.fixture(scope="session")
def recorded() -> dict[str, dict[str, Any]]:
    """Resources as Pulumi's own engine and docker plugin recorded them, by type; secrets have no value."""
    state = json.loads((REFERENCE / "state-after-up.json").read_text())
    resources = state["checkpoint"]["latest"]["resources"]
    return {one["type"]: one for one in resources}
