"""The workloads whose cost is measured: what is sent, and what is aimed at."""

from collections.abc import Sequence
from dataclasses import dataclass

DIRECT, NGINX, GATEWAY = "direct", "nginx", "gateway"
PROXIES = (DIRECT, NGINX, GATEWAY)
GOGC = {f"GOGC {percent}": percent for percent in (100, 200, 400)}
"""Gateways whose garbage collector runs less often than the default settings say (50)."""
COLLECTORS = (GATEWAY, *GOGC)
PLAIN = "no PGO"
"""A gateway whose compiler knew no profile."""


@dataclass(frozen=True)
class Workload:
    """One row of the table for each of its targets."""

    name: str
    title: str
    drive: Sequence[str]
    """Options of ``load drive``."""
    targets: Sequence[str] = PROXIES
    per_token: bool = False
    """CPU is stated per chunk of a stream instead of per request."""
    aim: float | None = None
    """The most that the gateway may cost, as a multiple of nginx."""
    share_of_peak: float | None = None
    """Requests are sent at this share of the rate that the gateway manages of ``peak``, or of the one that
    generator and backend carry, if that is lower."""
    peak: Sequence[str] = ("--clients", "64")
    direct_p99_ms: float = 0
    """With a share of the peak: the most that p99 may be without a proxy. Beyond it the generator is late."""
    p99_ms: float | None = None
    """The most that p99 may be."""
    added_p99_ms: float | None = None
    """The most that the gateway may add to the p99 of the backend itself."""
    cpu_percent: float | None = None
    """The most that the gateway may use of two cores."""
    cheaper: float | None = None
    """How many times as many of these requests as of W5's uncached ones a core must manage."""


def _streams(clients: int) -> Workload:
    options = ("--stream", "--clients", str(clients))
    title = f"{clients} stream{'s' if clients > 1 else ''} of 64 tokens"
    return Workload("w4", title, options, per_token=True, aim=1.35)


def _words(clients: int) -> Workload:
    options = ("--stream", "--model", "paced", "--clients", str(clients))
    return Workload("w4", f"{clients} streams, a token every 5 ms", options, per_token=True, aim=1.35)


def _paced(share: float, added_p99_ms: float | None = None) -> Workload:
    return Workload(
        "w2",
        f"backend takes 20 ms, {share:.0%} of peak",
        ("--model", "slow", "--clients", "512"),
        share_of_peak=share,
        direct_p99_ms=25,
        added_p99_ms=added_p99_ms,
    )


def _repeated(share: float, cheaper: float | None = None) -> Workload:
    options = ("--send", "repeated", "--share", str(share), "--clients", "64")
    return Workload("w5", f"{share:.0%} of answers cached, 64 clients", options, (GATEWAY,), cheaper=cheaper)


UNCACHED, CACHED = _repeated(0), _repeated(1, cheaper=3)
WORKLOADS = (
    Workload(
        "report",
        "500 of the mix a second, 100 clients",
        ("--send", "mix", "--rate", "500", "--clients", "100"),
        (GATEWAY,),
        cpu_percent=25,
    ),
    Workload("gogc", "200 B in, 1 KB out, 64 clients", ("--clients", "64"), COLLECTORS),
    Workload("gogc", "64 streams of 64 tokens", ("--stream", "--clients", "64"), COLLECTORS, per_token=True),
    Workload("pgo", "200 B in, 1 KB out, 8 clients", ("--clients", "8"), (GATEWAY, PLAIN)),
    Workload("pgo", "200 B in, 1 KB out, 64 clients", ("--clients", "64"), (GATEWAY, PLAIN)),
    Workload(
        "pgo", "8 streams of 64 tokens", ("--stream", "--clients", "8"), (GATEWAY, PLAIN), per_token=True
    ),
    Workload("w1", "200 B in, 1 KB out, 8 clients", ("--clients", "8"), aim=1.5),
    Workload("w1", "200 B in, 1 KB out, 64 clients", ("--clients", "64"), aim=1.5),
    _paced(0.5, added_p99_ms=0.3),
    _paced(0.8),
    Workload(
        "w3",
        "5 % prompts of 100 KB to 1 MB, 16 clients",
        ("--send", "large", "--share", "0.05", "--clients", "16"),
    ),
    *(_streams(clients) for clients in (1, 8, 64, 512)),
    *(_words(clients) for clients in (8, 64)),
    UNCACHED,
    _repeated(0.5),
    _repeated(0.95),
    CACHED,
    Workload(
        "w5",
        "100% of answers cached, 50% of peak",
        CACHED.drive,
        (DIRECT, GATEWAY),
        share_of_peak=0.5,
        peak=CACHED.drive,
        direct_p99_ms=0.5,
        p99_ms=1,
    ),
)
