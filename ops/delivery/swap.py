"""A model swap: behind an alias one model takes the place of another, tried as a release is."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import niquests

from ops.asking import trusting
from ops.delivery.measure import Moment, Prometheus, Series
from ops.stack import StackError
from stacks.delivery import ALL

TRIED, THERE = "tried", "there"
"""The variants of the alias while a model is tried."""
TIMEOUT_S = 600
"""A gateway answers once a model that begins to get requests is in a worker's memory."""


@dataclass(frozen=True)
class Aliases:
    """The aliases of a platform, through its API."""

    edge: Callable[[], AbstractContextManager[str]]
    """Reaches it."""
    key: str
    ca_certificate: str | None

    def get(self, name: str) -> list[dict[str, Any]]:
        """Return the targets of an alias."""
        found: list[dict[str, Any]] = self._ask("GET", name)["alias"]["targets"]
        return found

    def put(self, name: str, targets: list[dict[str, Any]]) -> None:
        """Replace the targets of an alias."""
        self._ask(
            "PUT", name, {"targets": targets, "fallbacks": self._ask("GET", name)["alias"]["fallbacks"]}
        )

    def _ask(self, method: str, name: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        path = f"/api/v1/models/aliases/{name}"
        with self.edge() as url, trusting(self.ca_certificate) as session:
            session.headers["Authorization"] = f"Bearer {self.key}"
            try:
                answer = session.request(method, f"{url}{path}", json=body, timeout=TIMEOUT_S)
            except niquests.exceptions.RequestException as error:
                raise StackError(f"{url}{path} did not answer: {error}") from error
        if not answer.ok:
            raise StackError(f"{method} {path}: {answer.status_code} {answer.text}")
        found: dict[str, Any] = answer.json()
        return found


@dataclass(frozen=True)
class Swap:
    """A model that is tried behind an alias."""

    aliases: Aliases
    prometheus: Callable[[], AbstractContextManager[Prometheus]]
    alias: str
    there: str
    """The model that answers."""
    tried: str
    """The one that is to."""

    def place(self) -> None:
        """Nothing has to be brought up: a gateway loads a model before it gives it requests."""

    def weigh(self, percent: int) -> None:
        """Give the model a share of the alias's requests."""
        self.aliases.put(
            self.alias,
            [
                {"model": self.there, "weight": ALL - percent, "variant": THERE},
                {"model": self.tried, "weight": percent, "variant": TRIED},
            ],
        )

    def moment(self) -> Moment:
        """Return what both models have done so far."""
        with self.prometheus() as prometheus:
            return prometheus.moment(series(self.alias, TRIED, THERE), time.time())

    def take_over(self) -> None:
        """Leave the model alone behind the alias."""
        self.aliases.put(self.alias, [{"model": self.tried}])

    def take_back(self) -> None:
        """Leave the other one alone behind it."""
        self.aliases.put(self.alias, [{"model": self.there}])


def series(alias: str, tried: str, there: str) -> Series:
    """Return the metrics that tell two variants of an alias apart."""
    full = alias if ":" in alias else f"{alias}:latest"
    return Series(
        "ollamamax_alias_requests_total",
        "ollamamax_alias_request_seconds",
        "variant",
        tried,
        there,
        of=f'alias="{full}"',
        processes=False,
    )


def left_unfinished(targets: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the target that was being tried when its command ended, if there is one."""
    return next((one for one in targets if one.get("variant") == TRIED and len(targets) > 1), None)


def only(alias: str, targets: list[dict[str, Any]]) -> str:
    """Return the one model behind an alias.

    Raises:
        StackError: if there are more: they are compared by somebody, whose weights are not ours to change.
    """
    models = [str(one["model"]) for one in targets]
    if len(models) != 1:
        shown = ", ".join(models) or "none of its own"
        raise StackError(f"alias {alias} stands for {shown}: leave it one model, then try another")
    return models[0]
