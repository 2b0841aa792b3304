"""A docker provider that answers as the real plugin did when the reference was recorded."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from engine.provider import Context, Diff, Provider, Resource
from engine.secrets import Crypter
from engine.state import read_deployment
from engine.values import Properties, reveal, thaw

REFERENCE = Path(__file__).with_name("reference")


def load(name: str) -> Any:
    """Return a recorded JSON document."""
    return json.loads((REFERENCE / f"{name}.json").read_text())


class _Recorded(Resource):
    def __init__(self, token: str) -> None:
        self._states = []
        for name in ("state-after-up", "state-after-change"):
            latest = load(name)["checkpoint"]["latest"]
            crypter = Crypter("reference", latest["secrets_providers"]["state"]["salt"])
            snapshot = read_deployment(latest, partial(thaw, decrypt=crypter.decrypt))
            self._states += [one for one in snapshot.resources if one.type == token]
        self.outputs = frozenset(self._states[0].outputs)

    def _state(self, inputs: Properties) -> Any:
        return self._states[inputs.get("memory") == 96]

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        inputs: Properties = reveal(self._state(news).inputs)
        for key, value in news.items():
            if key not in ("build", "networksAdvanced", "ports", "volumes"):
                assert inputs[key] == value, f"{key} is not what the program gave when it was recorded"
        return inputs | ({"name": olds["name"]} if "name" in olds else {})

    def diff(self, ctx: Context, olds: Properties, inputs: Properties, news: Properties) -> Diff:
        if "memory" not in news:
            return Diff()
        if news["memory"] == olds["memory"]:
            return Diff({"memorySwap": "delete"})
        return Diff(
            {"envs[0]": "update-replace", "memory": "update", "memorySwap": "delete"},
            delete_before_replace=True,
        )

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        state = self._state(inputs)
        return state.id, state.outputs

    def delete(self, ctx: Context, id_: str, olds: Properties) -> None:
        assert id_ in [state.id for state in self._states]


class Docker(Provider):
    """The package `docker`, as it was recorded."""

    name = "docker"
    version = "5.2.0"

    def __init__(self) -> None:
        kinds = ("container:Container", "image:Image", "network:Network", "volume:Volume")
        super().__init__({f"docker:index/{kind}": _Recorded(f"docker:index/{kind}") for kind in kinds})
