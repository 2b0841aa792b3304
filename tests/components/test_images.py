"""Where the images come from."""

import re
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.images import BuiltImages, Registry
from tests.components.conftest import IMAGE, Graph, record_of

DIGEST = "registry.example.org/team/ollamamax-pgbouncer@sha256:0123"
DOCKERFILES = sorted((Path(__file__).parents[2] / "docker").glob("*/Dockerfile"))
CONSOLE_DIGEST = "registry.example.org/team/ollamamax-console@sha256:4567"
REGISTRY = Registry("registry.example.org/team")


def built(*names: str, registry: Registry | None = None) -> tuple[Graph, list[Any]]:
    """Return the graph of a program that asks for these images, and what it is told."""
    told: list[Any] = []

    def build() -> None:
        images = BuiltImages(pulumi.ComponentResource("test:index:Parent", "parent"), "0.0.0", registry)
        for name in names:
            images.reference(name).apply(told.append)

    return record_of(
        build, provided={"pgbouncer": {"repoDigest": DIGEST}, "console": {"repoDigest": CONSOLE_DIGEST}}
    ), told


def test_an_image_is_built_once_however_often_it_is_asked_for() -> None:
    graph, told = built("pgbouncer", "pgbouncer", "redis")
    assert [one.name for one in graph.of_type(IMAGE)] == ["pgbouncer", "redis"]
    assert len(told) == 3


def test_without_a_registry_an_image_stays_on_the_machine_and_is_named_by_its_content() -> None:
    graph, told = built("pgbouncer")
    (image,) = graph.of_type(IMAGE)
    assert image.inputs["skipPush"] is True
    assert not {"registry", "platform"} & {*image.inputs, *image.inputs["build"]}
    assert told == [image.inputs["imageName"]]
    assert re.fullmatch(r"ollamamax-pgbouncer:[0-9a-f]{12}", told[0])


def test_a_pushed_image_is_used_by_its_digest() -> None:
    graph, told = built("pgbouncer", registry=REGISTRY)
    (image,) = graph.of_type(IMAGE)
    assert image.inputs["skipPush"] is False
    assert re.fullmatch(
        r"registry\.example\.org/team/ollamamax-pgbouncer:[0-9a-f]{12}", image.inputs["imageName"]
    )
    assert image.inputs["build"]["platform"] == "linux/amd64"
    assert "registry" not in image.inputs, "the machine's own login is used"
    assert told == [DIGEST]


def test_an_image_takes_files_from_another_that_is_built_and_pushed_before_it() -> None:
    graph, _ = built("edge", registry=REGISTRY)
    images = {one.name: one for one in graph.of_type(IMAGE)}
    assert set(images) == {"console", "edge"}
    assert images["edge"].inputs["build"]["args"]["CONSOLE"] == CONSOLE_DIGEST
    assert images["console"].inputs["skipPush"] is False


def test_without_a_registry_an_image_takes_files_from_another_by_its_tag() -> None:
    graph, _ = built("edge")
    images = {one.name: one.inputs for one in graph.of_type(IMAGE)}
    assert images["edge"]["build"]["args"]["CONSOLE"] == images["console"]["imageName"]


def test_another_platform_is_another_image() -> None:
    amd, arm = (
        built("pgbouncer", registry=Registry("registry.example.org/team", platform=platform))[0].of_type(
            IMAGE
        )[0]
        for platform in ("linux/amd64", "linux/arm64")
    )
    assert amd.inputs["imageName"] != arm.inputs["imageName"]


def test_a_registrys_account_is_given_to_that_registry_alone() -> None:
    registry = Registry(
        "registry.example.org/team", username="pusher", password=pulumi.Output.secret("SECRET-word")
    )
    graph, _ = built("pgbouncer", registry=registry)
    (image,) = graph.of_type(IMAGE)
    assert image.inputs["registry"] == {
        "server": "registry.example.org",
        "username": "pusher",
        "password": "[secret]",
    }


def test_another_stage_of_a_dockerfile_is_another_image() -> None:
    graph, _ = built("ollama", "ollama:cuda")
    last, cuda = graph.of_type(IMAGE)
    assert cuda.name == "ollama-cuda"
    assert cuda.inputs["imageName"].startswith("ollamamax-ollama-cuda:")
    assert cuda.inputs["build"]["context"] == last.inputs["build"]["context"] == "docker/ollama"
    assert cuda.inputs["build"]["target"] == "cuda"
    assert "target" not in last.inputs["build"]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_an_image_says_of_which_version_it_is(file: Path) -> None:
    *_, last = re.split(r"^FROM ", file.read_text(), flags=re.MULTILINE)
    assert "\nARG VERSION=dev\n" in last
    assert last.endswith("\nLABEL org.opencontainers.image.version=${VERSION}\n")
