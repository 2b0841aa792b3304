"""Records that nobody recorded: invented for tests of what reads them."""

from collections.abc import Mapping, Sequence

from rehearsal.record import GENERAL, Bounds, Count, Event, EventKind, Expected, Nodes, Record, Sample

CHAT = "worker-chat"


def bounds(**given: object) -> Bounds:
    """Return the bounds of the one invented pool, from 3 to 50 workers of 8 slots."""
    about = {"least": 3, "most": 50, "slots": 8, "down_window_s": 20, "pool": "chat", "at_a_time": "10%"}
    return Bounds.model_validate(about | given)


def count(ready: int, **given: int) -> Count:
    """Return a workload of which all that is wanted is ready and asked for, unless it says otherwise."""
    about = {"wanted": ready, "waiting": 0, "asked": ready}
    return Count.model_validate({"ready": ready} | about | given)


def nodes(spot: int = 0, on_demand: int = 0, pool: str = "chat") -> tuple[Nodes, ...]:
    """Return nodes of a pool."""
    return tuple(
        Nodes(pool=pool, zone="eu-central-1a", capacity=capacity, kind="g6e.xlarge", count=number)
        for capacity, number in (("spot", spot), ("on-demand", on_demand))
        if number
    )


def sample(at: float, found: Count, of_nodes: Sequence[Nodes] | None = None, cost: float = 10.0) -> Sample:
    """Return a moment; without nodes there is one on spot for each worker."""
    return Sample(
        at=at,
        load={CHAT: found.ready * 8.0},
        workloads={CHAT: found},
        nodes=nodes(spot=found.ready) if of_nodes is None else tuple(of_nodes),
        cost_hour=cost,
        slot_wait_ms={CHAT: 0.0},
    )


def event(at: float, kind: EventKind, text: str = "", about: Mapping[str, str] | None = None) -> Event:
    """Return something that happened."""
    return Event(at=at, kind=kind, text=text, about=about or {})


def joined(at: float, capacity: str = "spot", pool: str = "chat") -> Event:
    """Return a node that came."""
    return event(at, "node-joined", "node", {"pool": pool, "capacity": capacity})


def record(samples: Sequence[Sample], events: Sequence[Event] = (), most: float = 100.0) -> Record:
    """Return a record of the one invented pool."""
    expected = Expected(workloads={CHAT: bounds()}, consolidate_after_s={"chat": 20}, cost_most_hour=most)
    return Record(
        stack="invented",
        title="An invented rehearsal",
        description="Nobody played it.",
        started="2026-01-01T00:00:00Z",
        versions={"Kubernetes": "v0.0.0"},
        substitutions=(),
        overlay=(),
        simulated=("everything",),
        expected=expected,
        samples=list(samples),
        events=list(events),
    )


__all__ = ["CHAT", "GENERAL", "bounds", "count", "event", "joined", "nodes", "record", "sample"]
