"""The images of ``docker/``: each built once, pushed where a registry is named."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pulumi
import pulumi_docker as docker

from components import naming

SOURCES = Path("docker")
PARTS = {"edge": {"CONSOLE": "console"}}
"""Image → the images that it takes files from, by the build argument that names them.

Pushed as any other: a machine that has not built them must be able to build what takes files from them.
"""


class Images(Protocol):
    """Knows where the images of ``docker/`` are."""

    def reference(self, image: str) -> pulumi.Input[str]:
        """Return what a container is started from; by digest where the image was pushed."""
        ...


@dataclass(frozen=True)
class Registry:
    """Where images are pushed to."""

    prefix: pulumi.Input[str]
    """Registry and path in it; the images are ``PREFIX/ollamamax-NAME``."""
    username: pulumi.Input[str] | None = None
    """None pushes with what ``docker login`` stored on this machine."""
    password: pulumi.Input[str] | None = None
    platform: str = "linux/amd64"
    """Platform of the nodes that run the images."""


class BuiltImages:
    """Builds each image when it is first asked for, as a child of ``parent``.

    The tag is a hash of what goes into the image. Without a ``registry`` the image stays on the machine that
    built it, for that machine's own platform. ``after`` is what has to be there before a push.
    """

    def __init__(
        self,
        parent: pulumi.Resource,
        version: str,
        registry: Registry | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        self._parent = parent
        self._version = version
        self._registry = registry
        self._after = after
        self._built: dict[str, docker.Image] = {}

    def reference(self, image: str) -> pulumi.Output[str]:
        """Return the image's name with its digest where it was pushed, or with its tag."""
        if image not in self._built:
            self._built[image] = self._build(image)
        built = self._built[image]
        return built.repo_digest if self._registry else built.image_name

    def _name(self, image: str) -> str:
        """Return the image's name without its registry; the tag is a hash of all that goes into it."""
        folder, _, _ = image.partition(":")
        parts = [f"{arg}={self._name(part)}" for arg, part in PARTS.get(image, {}).items()]
        platform = [self._registry.platform] if self._registry else []
        tag = naming.content_hash(SOURCES / folder, f"VERSION={self._version}", *parts, *platform)
        return naming.image_name(image.replace(":", "-"), tag)

    def _build(self, image: str) -> docker.Image:
        folder, _, stage = image.partition(":")
        context, name, registry = SOURCES / folder, self._name(image), self._registry
        parts = {arg: self.reference(part) for arg, part in PARTS.get(image, {}).items()}
        return docker.Image(
            image.replace(":", "-"),
            image_name=pulumi.Output.concat(registry.prefix, "/", name) if registry else name,
            build=docker.DockerBuildArgs(
                context=str(context),
                dockerfile=str(context / "Dockerfile"),
                args={"VERSION": self._version, **parts},
                target=stage or None,
                platform=registry.platform if registry else None,
            ),
            registry=_login(registry) if registry and registry.username else None,
            skip_push=registry is None,
            opts=pulumi.ResourceOptions(parent=self._parent, depends_on=list(self._after)),
        )


def _login(registry: Registry) -> docker.RegistryArgs:
    host = pulumi.Output.from_input(registry.prefix).apply(lambda prefix: prefix.split("/")[0])
    return docker.RegistryArgs(server=host, username=registry.username, password=registry.password)
