"""The traffic of a rehearsal: what the gateways would measure, given a load and the workers that are ready.

No request is made. For each pool requests arrive at a rate, hold a slot of a worker for their service time,
and wait in a queue where none is free: numbers that flow, not single requests. What comes of it is offered
under the names of the gateways' own metrics, as if by one gateway that stands for all.
"""

import contextlib
import math
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product

from rehearsal.scenario import Load, Traffic

WAITS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds of the gateway's histogram of waits, seconds (docker/gateway/internal/metrics)."""
API = "ollama"
GOOD, FAILED, REFUSED = "200", "500", "503"
THERE, TRIED = "", "canary"
"""Values of the label ``release``: of the gateways that are there, and of a release beside them."""
GONE = "gone"
"""Gateways of releases that are no more: nobody asks them for metrics."""
ADDED = 0.001
"""What gateways add to a request, seconds: always less. Nothing here tells two versions' speed apart."""
MOST_WAIT_PERCENTILE = 0.95
PART_S = 0.1
"""Time that passes at once: much less than a request takes."""
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Pool:
    """A pool's workers, all equal."""

    workload: str
    """The Deployment that they are."""
    label: str
    """What metrics and scenarios call the pool."""
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
        # The player turns to a new load while the recorder asks for the last moment's.
        passed, over = max(0.0, at - self.since), self.load.over_s
        if passed < over:
            return self.before + (self.load.percent - self.before) * passed / over
        swing = math.sin(2 * math.pi * (passed - over) / self.load.wobble_s) * self.load.wobble_percent / 100
        return self.load.percent * (1 + swing)

    def turn(self, at: float, load: Load) -> None:
        """Go for a new load from here."""
        self.before, self.since, self.load = self.percent(at), at, load


@dataclass(frozen=True)
class Release:
    """A release of the gateways that is tried beside those that are there."""

    share: float = 0.0
    """Part of the requests that goes to it."""
    failing: float = 0.0
    """Part of its answers that are errors instead."""


NO_RELEASE = Release()


@dataclass
class Queue:
    """The requests of one model of a pool; every model of it has the same."""

    pool: Pool
    service_s: float
    busy: float = 0.0
    waiting: float = 0.0
    ended: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    """Release and status of the answer → requests."""
    waited: list[float] = field(default_factory=lambda: [0.0] * len(WAITS))
    """Requests that waited no longer than each of ``WAITS``."""
    waited_in_all: float = 0.0
    waited_s: float = 0.0
    wait_s: float = 0.0
    """95th percentile of the waits of those that came last."""

    def step(self, took: float, load: float, workers: int, release: Release) -> None:
        """Let ``took`` seconds pass with ``load`` slots' worth of requests."""
        room = float(workers * self.pool.slots)
        if self.busy > room:  # their worker is gone, and with it what it had begun
            self._end(FAILED, self.busy - room, release)
            self.busy = room
        ended = self.busy * (1 - math.exp(-took / self.service_s))
        self.busy -= ended
        self._end(GOOD, ended, release)
        came = load / self.service_s * took
        self._note_waits(came, load, room)
        self.waiting += came
        begun = min(self.waiting, room - self.busy)
        self.waiting -= begun
        self.busy += begun
        # Who would wait too long, or finds the queue full, is sent away.
        most = min(self.pool.queue, self.pool.max_wait_s * (room or load) / self.service_s)
        self._end(REFUSED, max(0.0, self.waiting - most), release)
        self.waiting = min(self.waiting, most)

    def _end(self, status: str, requests: float, release: Release) -> None:
        """Count requests that have ended by who answered; a bad release fails a part of its good answers."""
        its = requests * release.share
        failed = its * release.failing if status == GOOD else 0.0
        self.ended[THERE, status] += requests - its
        self.ended[TRIED, status] += its - failed
        self.ended[TRIED, FAILED] += failed

    def forget(self) -> None:
        """Count nothing any more for the release that was tried."""
        for status in (GOOD, FAILED, REFUSED):
            self.ended[GONE, status] += self.ended[TRIED, status]
            self.ended[TRIED, status] = 0.0

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
        self.pools = {pool.workload: pool for pool in pools}
        """By workload, as everything here is."""
        self.traffic = traffic
        self._release: Release | None = None
        self._queues = {pool.workload: Queue(pool, traffic.service_s) for pool in pools}
        self._courses = {pool.workload: Course() for pool in pools}
        self._gateways = Course()
        self._at = 0.0
        self.published = self.exposition()
        """The last one, for whoever asks while the next one is made."""

    def turn(self, at: float, load: Load) -> None:
        """Go for a new load."""
        for name, pool in self.pools.items():
            if not load.pools or pool.label in load.pools:
                self._courses[name].turn(at, load)
        if not load.pools:
            self._gateways.turn(at, load)

    @property
    def release(self) -> Release | None:
        """What is tried; what comes after it counts its requests from none, as new pods do."""
        return self._release

    @release.setter
    def release(self, tried: Release | None) -> None:
        if tried is None and self._release:
            for queue in self._queues.values():
                queue.forget()
        self._release = tried

    def load(self, workload: str) -> float:
        """Return the slots of one model that the load would keep busy now."""
        about = self.pools[workload]
        return self._courses[workload].percent(self._at) / 100 * about.most * about.slots

    def busy_percent(self, workload: str, workers: int) -> float:
        """Return how many of the workers' slots are busy, percent."""
        room = workers * self.pools[workload].slots
        return min(100.0, 100 * self._queues[workload].busy / room) if room else 0.0

    def gateways_percent(self) -> float:
        """Return the load of the gateways, percent of what the most of them take."""
        return self._gateways.percent(self._at)

    def in_flight(self, workload: str) -> float:
        """Return the requests of one model that hold a slot or wait for one."""
        return self._queues[workload].busy + self._queues[workload].waiting

    def wait_ms(self, workload: str) -> float:
        """Return the 95th percentile of the waits for a slot now, milliseconds."""
        return self._queues[workload].wait_s * 1000

    def requests(self) -> tuple[float, float]:
        """Return how many requests were answered, and how many failed or were refused, since the start."""
        ended: dict[str, float] = defaultdict(float)
        for queue in self._queues.values():
            # A copy: the recorder's thread adds to it meanwhile.
            for (_, status), requests in list(queue.ended.items()):
                ended[status] += requests * len(queue.pool.models)
        return ended[GOOD], ended[FAILED] + ended[REFUSED]

    def step(self, at: float, workers: Mapping[str, int]) -> None:
        """Let the time pass to ``at``, seconds, with so many replicas ready."""
        parts = max(1, math.ceil((at - self._at) / PART_S))
        took, self._at = (at - self._at) / parts, at
        for name, queue in self._queues.items():
            for _ in range(parts):
                queue.step(took, self.load(name), workers.get(name, 0), self.release or NO_RELEASE)
        self.published = self.exposition()

    def exposition(self) -> str:
        """Return everything as Prometheus reads it."""
        families: dict[str, list[str]] = {}
        for name, kind, labels, value in self._values():
            family = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            text = ",".join(f'{key}="{label}"' for key, label in labels.items())
            families.setdefault(f"# TYPE {family} {kind}", []).append(f"{name}{{{text}}} {value}")
        return "".join("\n".join([head, *lines]) + "\n" for head, lines in families.items())

    def _values(self) -> Iterator[tuple[str, str, dict[str, str], float]]:
        for queue in self._queues.values():
            for model in queue.pool.models:
                about = {"model": model}
                load = queue.busy + queue.waiting
                yield "ollamamax_pool_load", "gauge", {"pool": queue.pool.label, **about}, load
                yield "ollamamax_queue_depth", "gauge", about, queue.waiting
                for release, code in product(self._releases, (GOOD, FAILED, REFUSED)):
                    of = {"api": API, **about, "code": code, **_labels(release)}
                    yield "ollamamax_requests_total", "counter", of, queue.ended[release, code]
                wait = "ollamamax_slot_wait_seconds"
                for bound, count in zip(WAITS, queue.waited, strict=True):
                    yield f"{wait}_bucket", "histogram", {**about, "le": f"{bound:g}"}, count
                yield f"{wait}_bucket", "histogram", {**about, "le": "+Inf"}, queue.waited_in_all
                yield f"{wait}_sum", "histogram", about, queue.waited_s
                yield f"{wait}_count", "histogram", about, queue.waited_in_all
        for release in self._releases:
            yield from self._times(release)

    def _times(self, release: str) -> Iterator[tuple[str, str, dict[str, str], float]]:
        """Yield what gateways have added to their requests."""
        added, of, requests = "ollamamax_overhead_seconds", _labels(release), 0.0
        for queue in self._queues.values():
            requests += len(queue.pool.models) * sum(
                queue.ended[release, code] for code in (GOOD, FAILED, REFUSED)
            )
        for bound in (f"{ADDED:g}", "+Inf"):
            yield f"{added}_bucket", "histogram", {**of, "le": bound}, requests
        yield f"{added}_sum", "histogram", of, requests * ADDED
        yield f"{added}_count", "histogram", of, requests

    @property
    def _releases(self) -> tuple[str, ...]:
        return (THERE, TRIED) if self.release else (THERE,)


def _labels(release: str) -> dict[str, str]:
    return {"release": release} if release else {}


@contextlib.contextmanager
def served(port: int, model: Model) -> Iterator[None]:
    """Serve the traffic's metrics on a port of loopback, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = model.published.encode()
            with contextlib.suppress(ConnectionError):  # Prometheus may be killed while it asks
                self.send_response(200)
                self.send_header("Content-Type", EXPOSITION)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="traffic")
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
