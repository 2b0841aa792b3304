"""Resources whose only existence is what the simulated cloud has written down of them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from engine.provider import Context, Found, Resource
from engine.simulated.cloud import Cloud, Thing
from engine.values import Properties, Secret, from_wire, has_secret


class StoredResource(Resource):
    """A resource type whose things are in the cloud's folder, where a hand may change them."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    @abstractmethod
    def made(self, inputs: Properties, seed: str) -> tuple[str, Properties]:
        """Return the id and the outputs that inputs get."""

    def refuse(self, ctx: Context, inputs: Properties) -> None:
        """Raise when the cloud would not make another thing."""

    def hold(self, ctx: Context, thing: Thing) -> None:
        """Raise when the cloud would not delete a thing."""

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Make the thing."""
        with self.cloud.lock:
            self.refuse(ctx, inputs)
            seed = self.cloud.seed(ctx.urn)
            id_, outputs = self._made(ctx, inputs, seed)
            if other := self.cloud.find(ctx.type, id_):
                raise ctx.error(f"{id_} is there already: {other.urn}")
            self._put(ctx, id_, seed, inputs, outputs)
        return id_, outputs

    def read(self, ctx: Context, id_: str, inputs: Properties, olds: Properties) -> Found:
        """Return what is there, and the inputs as they are in it; an interrupted creation is found by URN."""
        made = [] if olds else self.cloud.of(ctx.type, ctx.urn)
        thing = self.cloud.find(ctx.type, id_) or next(iter(made), None)
        if not thing:
            return None
        kept = _secret(ctx) | (inputs.keys() - thing.outputs.keys() - olds.keys())
        now = {
            key: value if key in kept else as_is(value, thing.outputs.get(key))
            for key, value in inputs.items()
        }
        outputs = {**{key: olds[key] for key in _hidden(ctx) & olds.keys()}, **thing.outputs}
        return thing.id, outputs, {key: value for key, value in now.items() if value is not None}

    def update(self, ctx: Context, id_: str, olds: Properties, news: Properties) -> Properties:
        """Change the thing in place."""
        with self.cloud.lock:
            thing = self.cloud.find(ctx.type, id_)
            if not thing:
                raise ctx.error(f"the simulated cloud has no {id_} any more; run `refresh --simulate` first")
            _, outputs = self._made(ctx, news, thing.seed)
            self._put(ctx, id_, thing.seed, news, outputs)
        return outputs

    def delete(self, ctx: Context, id_: str, olds: Properties) -> None:
        """Remove the thing."""
        with self.cloud.lock:
            if thing := self.cloud.find(ctx.type, id_):
                self.hold(ctx, thing)
                self.cloud.drop(thing)

    def _made(self, ctx: Context, inputs: Properties, seed: str) -> tuple[str, Properties]:
        id_, outputs = self.made(inputs, seed)
        copies = _hidden(ctx) - _secret(ctx)
        return id_, {key: Secret(value) if key in copies else value for key, value in outputs.items()}

    def _put(self, ctx: Context, id_: str, seed: str, inputs: Properties, outputs: Properties) -> None:
        hidden = {*_hidden(ctx), "__defaults"}
        shown = ({key: one[key] for key in one if key not in hidden} for one in (inputs, outputs))
        self.cloud.put(Thing(ctx.type, id_, ctx.urn, seed, *shown))


def _secret(ctx: Context) -> frozenset[str]:
    """Return the inputs that hold a secret, which hooks see unwrapped."""
    return frozenset(key for key, value in from_wire(ctx.given).items() if has_secret(value))


def _hidden(ctx: Context) -> frozenset[str]:
    """Return what the cloud, which is kept in plain text, must not have; one output copies other inputs."""
    secret = _secret(ctx)
    return secret | ({"tagsAll"} if "tags" in secret else set())


def as_is(given: Any, found: Any) -> Any:
    """Return what was given as it is found now, without what the cloud filled in."""
    if isinstance(given, dict) and isinstance(found, dict):
        now = {key: as_is(value, found.get(key)) for key, value in given.items()}
        return {key: value for key, value in now.items() if value is not None}
    if isinstance(given, list) and isinstance(found, list) and len(given) == len(found):
        return [as_is(one, other) for one, other in zip(given, found, strict=True)]
    return found
