"""Images of the simulated cloud: a digest that follows from what would be built, and no build or push."""

from __future__ import annotations

import hashlib
import json
import re
from typing import ClassVar

from engine.provider import Context, Found, ProviderError, Resource
from engine.providers import DockerProvider
from engine.providers.docker import Connection
from engine.providers.docker_image import Image
from engine.values import Properties

TOKEN = "docker:index/image:Image"  # noqa: S105 - a type token


class SimulatedImage(Image):
    """An image, as if it were built and pushed."""

    inputs: ClassVar = {
        **Image.inputs, "build": {**Image.inputs["build"], "builderVersion": str, "cacheFrom": dict},
        "registry": {"password": str, "server": str, "username": str},
    }  # fmt: skip
    in_place = frozenset(inputs)

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        """Fill in what the real one does; pushing is welcome."""
        found = super().check(ctx, olds, {**news, "skipPush": True, "buildOnPreview": None}, seed)
        return {**found, "skipPush": news.get("skipPush") or False}

    def read(self, ctx: Context, id_: str, inputs: Properties, olds: Properties) -> Found:
        """Return what the state has: an image is never changed."""
        return (id_, olds) if olds else None

    def update(self, ctx: Context, id_: str, olds: Properties, news: Properties) -> Properties:
        """Give the image the digest of what goes into it."""
        name, build = news["imageName"], json.dumps(news["build"], sort_keys=True)
        digest = hashlib.sha256(build.encode()).hexdigest()
        return {
            **news, "baseImageName": name, "registryServer": news.get("registry", {}).get("server", ""),
            "repoDigest": f"{re.sub(':[^:/]+$', '', name)}@sha256:{digest}",
        }  # fmt: skip


class SimulatedDocker(DockerProvider):
    """The docker package; in a simulation it has images alone."""

    config_keys = frozenset({"host", "registryAuth"})

    def __init__(self, images_alone: bool) -> None:
        super().__init__()
        self.types = {**({} if images_alone else self.types), TOKEN: SimulatedImage(Connection())}

    def resource(self, token: str) -> Resource:
        """Return the resource type of a token."""
        if token not in self.types:
            raise ProviderError(f"{token} is not simulated: run the stack without --simulate")
        return super().resource(token)
