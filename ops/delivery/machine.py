"""Gateways of a release on this machine, tried beside those that are there, behind the edge."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from docker.errors import DockerException

from ops import containers
from ops.delivery import measure
from ops.delivery.measure import GATEWAYS, THERE, TRIED, Moment, Prometheus
from ops.stack import Stack, StackError
from stacks import capacity
from stacks.delivery import CANARY, SWITCHES

PARTS = f"urn:pulumi:*::*::**::{CANARY}*"
"""All that is there only while a release is tried."""
FIRST = (
    "urn:pulumi:*::*::**docker:index/image:Image::gateway",
    "urn:pulumi:*::*::**::migrations*",
    PARTS,
)
"""What a trial changes: images are built, the database is migrated, which the release before goes on with."""
ASKED = "asked"
"""The switch for requests whose header asks for the release."""
LOOK_S = 2.0
"""Time between two looks whether requests have ended, seconds."""


@dataclass(frozen=True)
class Gateways:
    """The gateways of a release in Docker."""

    stack: Stack
    """As the release has it."""

    def place(self) -> None:
        """Bring them up beside what is there, unless they are there already."""
        self._with_canaries.prepare()
        self._with_canaries.up(*FIRST)

    def weigh(self, percent: int) -> None:
        """Give them a share of the requests: a file for each part, which the edges look at."""
        on = [str(one) for one in self.stack.settings().release.steps_percent if one <= percent]
        # The more first: what it is given already goes on going there.
        script = f"cd {SWITCHES} && touch {ASKED} {' '.join(on)}" if on else f"rm -f {SWITCHES}/*"
        for edge in containers.find(self.stack, "edge"):
            if edge.status != "running":
                continue
            try:
                done = edge.exec_run(["sh", "-c", script])
            except DockerException as error:
                raise StackError(f"{edge.name} cannot be told of the release: {error}") from error
            if done.exit_code:
                raise StackError(
                    f"{edge.name} cannot be told of the release: {done.output!r}; one of a release without "
                    f"{SWITCHES} is brought up anew by make up STACK={self.stack.name}"
                )

    def moment(self) -> Moment:
        """Return what both sides have done so far."""
        return self._prometheus.moment(GATEWAYS, time.time())

    def take_over(self) -> None:
        """Bring up all of the release, one gateway after the other, while these answer; then remove these."""
        self._let_end(THERE)
        self._with_canaries.prepare()
        self._with_canaries.up()
        self.take_back()

    def take_back(self) -> None:
        """Give the others all requests, and remove these once what is under way has ended."""
        self.weigh(0)
        self._let_end(TRIED)
        self.stack.prepare()
        self.stack.remove(PARTS)

    def _let_end(self, side: str) -> None:
        """Wait until a side that gets no more requests has none under way, for the longest stream at most."""
        settings = self.stack.settings()
        deadline = time.monotonic() + settings.longest_stream_s
        with contextlib.suppress(StackError):  # without Prometheus nobody knows: they are given their drain
            time.sleep(settings.monitoring.scrape_interval_s)  # what it knows is as old as that
            while self._prometheus.under_way(GATEWAYS, side) and time.monotonic() < deadline:
                time.sleep(LOOK_S)

    @cached_property
    def _with_canaries(self) -> Stack:
        count = capacity.canaries(self.stack.settings())
        return replace(self.stack, beside={"canary": {"replicas": count}})

    @cached_property
    def _prometheus(self) -> Prometheus:
        return measure.of_stack(self.stack.outputs(show_secrets=True))


def images(stack: Stack) -> Mapping[str, str]:
    """Return the images that a stack's containers run: service → name with its tag, and its digest."""
    return {
        one.labels["ollamamax.service"]: f"{one.attrs['Config']['Image']}@{one.attrs['Image']}"
        for one in containers.find(stack)
        if one.labels["ollamamax.service"] != CANARY
    }


def is_up(stack: Stack) -> bool:
    """Tell whether there are gateways that a release can be compared with."""
    return any(one.status == "running" for one in containers.find(stack, "gateway"))
