"""What the docker resources share: clients of the daemon, its errors in one sentence, labels."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import docker
import docker.errors
import docker.utils
import requests.exceptions

from engine.provider import WORKERS, Context, Found, ProviderError
from engine.providers.bridge import Bridged
from engine.values import Properties

URN_LABEL = "ollamamax.urn"
"""Tells what an interrupted update left behind from what belongs to somebody else."""


class Connection:
    """The client of the daemon, made when first needed."""

    def __init__(self) -> None:
        self.host = ""
        self.cancelled = threading.Event()
        self._client: Any = None  # the library's types lack half of its calls
        self._lock = threading.Lock()

    def __call__(self) -> Any:
        """The client, which many threads share."""
        with self._lock:
            if not self._client:
                settings: dict[str, Any] = {**docker.utils.kwargs_from_env(), "max_pool_size": WORKERS}
                settings |= {"base_url": self.host} if self.host else {}
                try:
                    self._client = docker.APIClient(version="auto", **settings)
                except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
                    where = settings.get("base_url") or "unix:///var/run/docker.sock"
                    way_out = "start it, or set DOCKER_HOST to where one runs"
                    raise ProviderError(f"cannot reach the Docker daemon at {where}: {way_out}") from error
            return self._client

    def close(self) -> None:
        """Hang up."""
        if self._client:
            self._client.close()


@contextmanager
def failing(what: str) -> Iterator[None]:
    """Say what failed, and why in the daemon's words."""
    try:
        yield
    except docker.errors.APIError as error:
        raise ProviderError(f"{what}: {error.explanation or error}") from error
    except requests.exceptions.RequestException as error:
        raise ProviderError(f"{what}: the Docker daemon does not answer ({type(error).__name__})") from error


class DockerResource(Bridged):
    """A resource that the daemon keeps, and shows to who asks for its id or name."""

    auto_named = True

    def __init__(self, api: Connection) -> None:
        super().__init__()
        self.api = api

    def inspect(self, id_: str) -> Properties:
        """What the daemon says about it."""
        raise NotImplementedError

    def remove(self, id_: str, olds: Properties) -> None:
        """Make the daemon drop it."""

    def describe(self, found: Properties, inputs: Properties, olds: Properties) -> Properties:
        """What the daemon says as outputs."""
        raise NotImplementedError

    def read(self, ctx: Context, id_: str, inputs: Properties, olds: Properties) -> Found:
        """Look at it. What an interrupted `create` may have left is left for the next one to sort out."""
        if inputs and not olds:
            return None
        try:
            found = self.inspect(id_)
        except docker.errors.NotFound:
            return None
        return found.get("Id", id_), self.describe(found, inputs or olds, olds)

    def delete(self, ctx: Context, id_: str, olds: Properties) -> None:
        """Remove it from the daemon."""
        what = f"{ctx.type.rpartition(':')[2].lower()} {olds.get('name', id_)}"
        with failing(f"{what} could not be removed"), suppress(docker.errors.NotFound):
            self.remove(id_, olds)


def label_map(inputs: Properties) -> dict[str, str]:
    """Labels as the daemon takes them."""
    return {one["label"]: one["value"] for one in inputs.get("labels", [])}


def label_list(labels: dict[str, str] | None) -> list[Properties]:
    """Labels as the state lists them."""
    return [{"label": label, "value": value} for label, value in sorted((labels or {}).items())]


def api_names(same: str, **other: str) -> dict[str, str]:
    """Properties and their names in the daemon's API, most of which differ by the first letter alone."""
    return {name: name[0].upper() + name[1:] for name in same.split()} | other


def words(*lines: str) -> frozenset[str]:
    """The words of some lines."""
    return frozenset(" ".join(lines).split())
