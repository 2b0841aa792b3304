"""Gateways of a release, tried beside those that are there, behind the edges: alike wherever they run."""

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from ops.delivery.measure import GATEWAYS, THERE, TRIED, Moment
from ops.delivery.reach import Reach
from ops.stack import Stack, StackError
from stacks.delivery import CANARY

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
class Beside(ABC):
    """Gateways of a release."""

    stack: Stack
    """As the release has it."""
    heard_s: ClassVar[float] = 0
    """Time within which every edge has heard what it is told, seconds."""

    @property
    @abstractmethod
    def is_up(self) -> bool:
        """Whether there are gateways that a release can be compared with."""

    @property
    @abstractmethod
    def is_tried(self) -> bool:
        """Whether there is something of a release beside them."""

    @property
    @abstractmethod
    def images(self) -> Mapping[str, str]:
        """The images that the stack runs, those of a release that is tried apart: service → image."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many a release needs: as many as are there, since all requests are theirs in the end."""

    @abstractmethod
    def tell(self, switches: Sequence[str]) -> None:
        """Have the edges find these switches on, and all others off."""

    def check(self) -> None:
        """Raise what speaks against a release: no room, edges that cannot be told, nothing to measure by."""
        self._with_canaries.settings()
        self.moment()

    def place(self) -> None:
        """Bring them up beside what is there, unless they are there already."""
        self._with_canaries.prepare()
        self._with_canaries.up(*FIRST)

    def weigh(self, percent: int) -> None:
        """Give them a share of the requests: a switch for each part, at which the edges look."""
        on = [str(one) for one in self.stack.settings().release.steps_percent if one <= percent]
        # The more first: what it is given already goes on going there.
        self.tell([ASKED, *on] if on else [])

    def moment(self) -> Moment:
        """Return what both sides have done so far."""
        with self.reach.prometheus() as prometheus:
            return prometheus.moment(GATEWAYS, time.time())

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
        self._remove()

    def _remove(self) -> None:
        self.stack.remove(PARTS)

    def _let_end(self, side: str) -> None:
        """Wait until a side that gets no more requests has none under way, for the longest stream at most."""
        settings = self.stack.settings()
        deadline = time.monotonic() + settings.longest_stream_s
        with contextlib.suppress(StackError):  # without Prometheus nobody knows: they are given their drain
            # What it knows is as old as its last scrape.
            time.sleep(self.heard_s + settings.monitoring.scrape_interval_s)
            while self._under_way(side) and time.monotonic() < deadline:
                time.sleep(LOOK_S)

    def _under_way(self, side: str) -> int:
        with self.reach.prometheus() as prometheus:
            return prometheus.under_way(GATEWAYS, side)

    @cached_property
    def reach(self) -> Reach:
        """Where its measurements are had."""
        return Reach(self.stack)

    @cached_property
    def _with_canaries(self) -> Stack:
        return replace(self.stack, beside={"canary": {"replicas": self.count}})
