"""The workloads of the benchmark: what is sent, and what is aimed at."""

from collections.abc import Sequence
from dataclasses import dataclass

DIRECT, NGINX, GATEWAY = "direct", "nginx", "gateway"
PROXIES = (DIRECT, NGINX, GATEWAY)
GOGC = {f"GOGC {percent}": percent for percent in (100, 200, 400)}
"""Gateways whose garbage collector runs less often than the default settings say (50)."""
COLLECTORS = (GATEWAY, *GOGC)


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
    """Requests are sent at this share of the rate that the gateway manages with 64 clients."""
    added_p99_ms: float | None = None
    """The most that the gateway may add to the p99 of the backend itself."""
    cpu_percent: float | None = None
    """The most that the gateway may use of two cores."""


def _streams(clients: int) -> Workload:
    options = ("--stream", "--clients", str(clients))
    return Workload("w4", f"{clients} streams of 64 tokens", options, per_token=True, aim=1.35)


def _paced(share: float, added_p99_ms: float | None = None) -> Workload:
    return Workload(
        "w2",
        f"backend takes 20 ms, {share:.0%} of peak",
        ("--model", "slow", "--clients", "512"),
        share_of_peak=share,
        added_p99_ms=added_p99_ms,
    )


def _repeated(share: float) -> Workload:
    options = ("--repeated", str(share), "--clients", "64")
    return Workload("w5", f"{share:.0%} of answers cached, 64 clients", options, (GATEWAY,))


WORKLOADS = (
    Workload(
        "report",
        "500 requests a second, 100 clients",
        ("--rate", "500", "--clients", "100"),
        (GATEWAY,),
        cpu_percent=25,
    ),
    Workload("gogc", "200 B in, 1 KB out, 64 clients", ("--clients", "64"), COLLECTORS),
    Workload("gogc", "64 streams of 64 tokens", ("--stream", "--clients", "64"), COLLECTORS, per_token=True),
    Workload("w1", "200 B in, 1 KB out, 8 clients", ("--clients", "8"), aim=1.5),
    Workload("w1", "200 B in, 1 KB out, 64 clients", ("--clients", "64"), aim=1.5),
    _paced(0.5, added_p99_ms=0.3),
    _paced(0.8),
    Workload("w3", "5 % prompts of 100 KB to 1 MB, 16 clients", ("--clients", "16", "--large", "0.05")),
    *(_streams(clients) for clients in (1, 8, 64, 512)),
    *(_repeated(share) for share in (0, 0.5, 0.95)),
)
