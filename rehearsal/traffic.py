"""The traffic of a rehearsal: what the gateways would measure, given a load and the workers that are ready.

No request is made. For each pool requests arrive at a rate, hold a slot of a worker for their service time,
and wait in a queue where none is free: numbers that flow, not single requests. What comes of it is offered
under the names of the gateways' own metrics, as if by one gateway that stands for all.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rehearsal.scenario import Load, Traffic

WAITS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds of the gateway's histogram of waits, seconds (docker/gateway/internal/metrics)."""
API = "ollama"
GOOD, FAILED, REFUSED = "200", "500", "503"
MOST_WAIT_PERCENTILE = 0.95


@dataclass(frozen=True)
class Pool:
    """A pool's workers, all equal."""

    name: str
    models: tuple[str, ...]
    """What they serve, equally often asked for; as the gateways' metrics name them."""
    slots: int
    """Requests of one model that a worker serves at once."""
    most: int
    """Most workers that the stack allows: what a load's percentage is of."""
    queue: float
    """Requests of one model that may wait, over all gateways."""
    max_wait_s: float


@dataclass
class Course:
    """How a load goes: from where it was to a new one, and then up and down around it."""

    before: float = 0.0
    since: float = 0.0
    load: Load = field(default_factory=lambda: Load(percent=0))

    def percent(self, at: float) -> float:
        """Return the load at a moment, percent."""
        passed, over = at - self.since, self.load.over_s
        if passed < over:
            return self.before + (self.load.percent - self.before) * passed / over
        swing = math.sin(2 * math.pi * (passed - over) / self.load.wobble_s) * self.load.wobble_percent / 100
        return self.load.percent * (1 + swing)

    def turn(self, at: float, load: Load) -> None:
        """Go for a new load from here."""
        self.before, self.since, self.load = self.percent(at), at, load


@dataclass
class Queue:
    """The requests of one model of a pool; every model of it has the same."""

    pool: Pool
    service_s: float
    busy: float = 0.0
    waiting: float = 0.0
    answered: float = 0.0
    failed: float = 0.0
    refused: float = 0.0
    waited: list[float] = field(default_factory=lambda: [0.0] * len(WAITS))
    """Requests that waited no longer than each of ``WAITS``."""
    waited_in_all: float = 0.0
    waited_s: float = 0.0
    wait_s: float = 0.0
    """95th percentile of the waits of those that came last."""

    def step(self, took: float, load: float, workers: int, failing: float) -> None:
        """Let ``took`` seconds pass with ``load`` slots' worth of requests; a part of the answers fails."""
        room = float(workers * self.pool.slots)
        if self.busy > room:  # their worker is gone, and with it what it had begun
            self.failed += self.busy - room
            self.busy = room
        ended = self.busy * (1 - math.exp(-took / self.service_s))
        self.busy -= ended
        self.answered += ended * (1 - failing)
        self.failed += ended * failing
        came = load / self.service_s * took
        self._note_waits(came, load, room)
        self.waiting += came
        begun = min(self.waiting, room - self.busy)
        self.waiting -= begun
        self.busy += begun
        # Who would wait too long, or finds the queue full, is sent away.
        most = min(self.pool.queue, self.pool.max_wait_s * room / self.service_s if room else came)
        self.refused += max(0.0, self.waiting - most)
        self.waiting = min(self.waiting, most)

    def _note_waits(self, came: float, load: float, room: float) -> None:
        """Note how long those wait who come now: for the queue before them, and for a slot among the busy."""
        queued = self.waiting * self.service_s / room if room else self.pool.max_wait_s
        spare = max((room - load) / self.service_s, 1e-9)
        unlucky = waits_at_all(room, load) if not self.waiting else 1.0
        within = [
            0.0 if bound < queued else 1 - unlucky * math.exp(-(bound - queued) * spare) for bound in WAITS
        ]
        self.waited = [sum_ + came * part for sum_, part in zip(self.waited, within, strict=True)]
        self.waited_in_all += came
        late = 1 - MOST_WAIT_PERCENTILE
        beyond = math.log(unlucky / late) / spare if unlucky > late and not self.waiting else 0.0
        self.wait_s = min(queued + beyond, self.pool.max_wait_s)
        self.waited_s += came * min(queued + unlucky / spare, self.pool.max_wait_s)


def waits_at_all(servers: float, load: float) -> float:
    """Return the part of requests that find no free server (Erlang's C), by the recursion of his B."""
    if load >= servers:
        return 1.0
    blocked = 1.0
    for count in range(1, int(servers) + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))


class Model:
    """The traffic of all pools."""

    def __init__(self, pools: tuple[Pool, ...], traffic: Traffic) -> None:
        self.pools = {pool.name: pool for pool in pools}
        self.traffic = traffic
        self.failing = 0.0
        """Part of the answers that a bad version of the gateways turns into errors."""
        self._queues = {pool.name: Queue(pool, traffic.service_s) for pool in pools}
        self._courses = {pool.name: Course() for pool in pools}
        self._gateways = Course()
        self._at = 0.0

    def turn(self, at: float, load: Load) -> None:
        """Go for a new load."""
        for name in load.pools or self.pools:
            self._courses[name].turn(at, load)
        if not load.pools:
            self._gateways.turn(at, load)

    def load(self, pool: str) -> float:
        """Return the slots of one model that a pool's load would keep busy now."""
        about = self.pools[pool]
        return self._courses[pool].percent(self._at) / 100 * about.most * about.slots

    def busy_percent(self, pool: str, workers: int) -> float:
        """Return how much of its workers' slots is busy, percent."""
        room = workers * self.pools[pool].slots
        return min(100.0, 100 * self._queues[pool].busy / room) if room else 0.0

    def gateways_percent(self) -> float:
        """Return the load of the gateways, percent of what the most of them take."""
        return self._gateways.percent(self._at)

    def in_flight(self, pool: str) -> float:
        """Return the requests of one model that hold a slot or wait for one."""
        return self._queues[pool].busy + self._queues[pool].waiting

    def wait_ms(self, pool: str) -> float:
        """Return the 95th percentile of the waits for a slot now, milliseconds."""
        return self._queues[pool].wait_s * 1000

    def requests(self) -> tuple[float, float]:
        """Return how many requests were answered, and how many failed or were refused, since the start."""
        queues = self._queues.values()
        good = sum(queue.answered * len(queue.pool.models) for queue in queues)
        return good, sum((queue.failed + queue.refused) * len(queue.pool.models) for queue in queues)

    def step(self, at: float, workers: Mapping[str, int]) -> None:
        """Let the time pass to ``at``, seconds, with so many workers ready in each pool."""
        took, self._at = at - self._at, at
        for name, queue in self._queues.items():
            queue.step(took, self.load(name), workers.get(name, 0), self.failing)

    def exposition(self) -> str:
        """Return everything as Prometheus reads it."""
        families: dict[str, list[str]] = {}
        for name, kind, labels, value in self._values():
            family = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            text = ",".join(f'{key}="{label}"' for key, label in labels.items())
            families.setdefault(f"# TYPE {family} {kind}", []).append(f"{name}{{{text}}} {value}")
        return "".join("\n".join([head, *lines]) + "\n" for head, lines in families.items())

    def _values(self) -> Iterator[tuple[str, str, dict[str, str], float]]:
        for name, queue in self._queues.items():
            for model in queue.pool.models:
                about = {"model": model}
                yield "ollamamax_pool_load", "gauge", {"pool": name, **about}, self.in_flight(name)
                yield "ollamamax_queue_depth", "gauge", about, queue.waiting
                codes = ((GOOD, queue.answered), (FAILED, queue.failed), (REFUSED, queue.refused))
                for code, count in codes:
                    yield "ollamamax_requests_total", "counter", {"api": API, **about, "code": code}, count
                wait = "ollamamax_slot_wait_seconds"
                for bound, count in zip(WAITS, queue.waited, strict=True):
                    yield f"{wait}_bucket", "histogram", {**about, "le": f"{bound:g}"}, count
                yield f"{wait}_bucket", "histogram", {**about, "le": "+Inf"}, queue.waited_in_all
                yield f"{wait}_sum", "histogram", about, queue.waited_s
                yield f"{wait}_count", "histogram", about, queue.waited_in_all
