"""The docker package as pulumi-docker 5.2 shows it, on the Docker Engine API."""

from __future__ import annotations

import hashlib
import threading
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import docker
import docker.errors
import docker.utils
import requests.exceptions

from engine.provider import WORKERS, Context, Diff, Found, ProviderError, Resource
from engine.values import Properties

URN_LABEL = "ollamamax.urn"
"""Tells what an interrupted update left behind from what belongs to somebody else."""
DELTA = "__pulumi_raw_state_delta"
"""Where the plugin keeps how its outputs differ from Terraform's state; it does not fit other outputs."""
LABELS = [{"label": str, "value": str}]
IPAM = {"subnet": "Subnet", "gateway": "Gateway", "ipRange": "IPRange"}


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
                # The library keeps connections for each URL and, beyond `num_pools` URLs, closes those of the
                # one used longest ago, with whatever request another thread has there.
                settings: dict[str, Any] = {"max_pool_size": WORKERS, "num_pools": 500, "version": "auto"}
                settings |= docker.utils.kwargs_from_env() | ({"base_url": self.host} if self.host else {})
                try:
                    self._client = docker.APIClient(**settings)
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
        raise ProviderError(f"{what}: the Docker daemon does not answer ({error})") from error


class DockerResource(Resource):
    """A resource that the daemon keeps, and shows to who asks for its id or name."""

    defaults: ClassVar[dict[str, Properties]] = {}
    """Values for inputs that were not given, by the path of the object they belong to."""
    implied: ClassVar[Properties] = {}
    """Outputs without which the plugin would take the resource for another one and replace it."""
    delete_first = False
    meta = ""
    """What the plugin keeps in the state about the format of its outputs."""

    def __init__(self, api: Connection) -> None:
        self.api = api

    @abstractmethod
    def _inspect(self, id_: str) -> Properties:
        """What the daemon says about it."""

    @abstractmethod
    def _remove(self, id_: str, olds: Properties) -> None:
        """Make the daemon drop it."""

    @abstractmethod
    def _found(self, found: Properties, inputs: Properties) -> Properties:
        """Outputs that only the daemon knows, or can tell better than the inputs."""

    def _outputs(self, found: Properties, inputs: Properties) -> Properties:
        told = self._found(found, inputs)
        return {**self.implied, **_without_defaults(inputs), **told, "__meta": self.meta}

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        """Fill in defaults; an automatic name is kept for the resource's life."""
        drawn = f"{ctx.name}-{hashlib.sha256(seed).hexdigest()[:7]}"
        name = olds["name"] if "name" in olds.get("__defaults", []) else drawn
        defaults = {**self.defaults, "": {**self.defaults.get("", {}), "name": name}}
        return dict(_with_defaults(self.inputs, super().check(ctx, olds, news, seed), defaults))

    def diff(self, ctx: Context, olds: Properties, inputs: Properties, news: Properties) -> Diff:
        """Compare; a name that the program gave is taken until the old one is gone."""
        first = self.delete_first or "name" not in news.get("__defaults", [])
        return Diff(super().diff(ctx, olds, inputs, news).changes, delete_before_replace=first)

    def read(self, ctx: Context, id_: str, inputs: Properties, olds: Properties) -> Found:
        """Look at it; what an interrupted creation left is known by its URN or its automatic name."""
        with failing(f"{inputs.get('name', id_)} could not be looked at"):
            try:
                found = self._inspect(id_)
            except docker.errors.NotFound:
                return None
        labels = found.get("Config", found)["Labels"] or {}
        ours = labels.get(URN_LABEL) == ctx.urn or "name" in inputs.get("__defaults", [])
        if inputs and not olds and not ours:
            return None
        kept = {key: olds[key] for key in olds if key != DELTA}
        return found.get("Id", id_), {**kept, **self._outputs(found, inputs or olds)}

    def delete(self, ctx: Context, id_: str, olds: Properties) -> None:
        """Remove it from the daemon."""
        what = f"{ctx.type.rpartition(':')[2].lower()} {olds.get('name', id_)}"
        with failing(f"{what} could not be removed"), suppress(docker.errors.NotFound):
            self._remove(id_, olds)


class Network(DockerResource):
    """A Docker network."""

    inputs: ClassVar = {
        "driver": str, "internal": bool, "ipamConfigs": [dict.fromkeys(IPAM, str)], "ipamDriver": str,
        "labels": LABELS, "name": str,
    }  # fmt: skip
    defaults: ClassVar = {"": {"ipamDriver": "default"}}
    implied: ClassVar = {"options": {}}
    meta = '{"schema_version":"1"}'

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Create the network."""
        name, pools = inputs["name"], inputs.get("ipamConfigs", [])
        config = [{IPAM[key]: one[key] for key in IPAM if key in one} for one in pools]
        try:
            made = self.api().create_network(
                name, driver=inputs.get("driver"), ipam={"Driver": inputs["ipamDriver"], "Config": config},
                check_duplicate=True, internal=inputs.get("internal", False), labels=label_map(inputs),
            )  # fmt: skip
        except docker.errors.APIError as error:
            subnets = ", ".join(one.get("subnet", "") for one in pools)
            reason = str(error.explanation).replace("Pool overlaps", f"subnet {subnets} overlaps")
            way_out = "choose another subnet or name, or remove the network that has it"
            raise ProviderError(f"network {name} could not be created: {reason}; {way_out}") from error
        return made["Id"], self._outputs(self._inspect(made["Id"]), inputs)

    def _inspect(self, id_: str) -> Properties:
        return dict(self.api().inspect_network(id_))

    def _remove(self, id_: str, olds: Properties) -> None:
        self.api().remove_network(id_)

    def _found(self, found: Properties, inputs: Properties) -> Properties:
        return {"driver": found["Driver"], "id": found["Id"], "name": found["Name"], "scope": found["Scope"]}


class Volume(DockerResource):
    """A named volume. Creating one that exists finds it, with what is in it."""

    inputs: ClassVar = {"driver": str, "driverOpts": dict, "labels": LABELS, "name": str}
    meta = '{"schema_version":"1"}'

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Create the volume."""
        name, labels = inputs["name"], label_map(inputs) or None
        with failing(f"volume {name} could not be created"):
            found = self.api().create_volume(name, inputs.get("driver"), inputs.get("driverOpts"), labels)
        return name, self._outputs(found, inputs)

    def _inspect(self, id_: str) -> Properties:
        return dict(self.api().inspect_volume(id_))

    def _remove(self, id_: str, olds: Properties) -> None:
        self.api().remove_volume(id_, force=True)

    def _found(self, found: Properties, inputs: Properties) -> Properties:
        name = found["Name"]
        return {"driver": found["Driver"], "id": name, "mountpoint": found["Mountpoint"], "name": name}


def label_map(inputs: Properties) -> dict[str, str]:
    """Labels as the daemon takes them."""
    return {one["label"]: one["value"] for one in inputs.get("labels", [])}


def _with_defaults(kind: Any, value: Any, defaults: dict[str, Properties], path: str = "") -> Any:
    """Inputs with defaults filled in and listed in `__defaults`, nested objects too, as the plugin does."""
    if isinstance(kind, list) and isinstance(value, list):
        return [_with_defaults(kind[0], item, defaults, path) for item in value]
    if not isinstance(kind, dict) or not isinstance(value, dict):
        return value
    given = {key: value[key] for key in sorted(value) if key != "__defaults" and value[key] is not None}
    filled = {key: _with_defaults(kind[key], item, defaults, f"{path}.{key}") for key, item in given.items()}
    missing = {key: item for key, item in defaults.get(path, {}).items() if key not in filled}
    return {**filled, **missing, "__defaults": sorted(missing)}


def _without_defaults(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_defaults(item) for key, item in value.items() if key != "__defaults"}
    return [_without_defaults(item) for item in value] if isinstance(value, list) else value
