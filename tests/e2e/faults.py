"""Faults of the running platform, caused on purpose: for every alert the one that its runbook is about."""

import http.client
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.e2e.causes import (
    BAD,
    GOOD,
    LONG,
    Cause,
    address,
    asking,
    name,
    paused,
    pgbench,
    pooled,
    set_to,
    slowed,
    sockets,
    stopped,
)
from tests.e2e.conftest import REPOSITORY, STACK, Platform, docker, sql
from tests.e2e.test_4_faults import kill
from tests.e2e.waiting import eventually
from tests.e2e.watching import Watchers

WEIGHTS = "ls -S /models/blobs/* | head -1"
"""The largest file of a worker: what a model's load reads."""
ALERTS = yaml.safe_load((REPOSITORY / "stacks" / f"Pulumi.{STACK}.yaml").read_text())["config"][
    "ollamamax:alerts"
]
"""The stack's own."""


@dataclass(frozen=True)
class Fault:
    """What is done to the platform, and for how long people may have to wait.

    Attributes:
        cause: does it, and undoes it.
        told_s: within which the alert has to be told, at the pace of the stack.
        over_s: within which it has to be over once the fault is.
        also: what else is told then.
        under: what it takes, settings or requests before it; there before it is caused and until it is over.
    """

    cause: Cause
    told_s: float = 60
    over_s: float = 90
    also: frozenset[str] = frozenset()
    under: Cause = lambda _: nullcontext()


def failing(share: float, clients: int = 4) -> Cause:
    """Have this share of requests fail."""
    good = round(1 / share) - 1

    @contextmanager
    def cause(platform: Platform) -> Iterator[None]:
        with asking(platform, BAD, *[GOOD] * good, clients=clients):
            yield

    return cause


@contextmanager
def waiting(platform: Platform) -> Iterator[None]:
    """Have more requests than slow workers have slots for."""
    with asking(platform, LONG, clients=24), slowed(0.3, "worker-1", "worker-2"):
        yield


@contextmanager
def slow_gateways(platform: Platform) -> Iterator[None]:
    """Have gateways that hardly get a processor: with a tenth of one they still answer in time."""
    with asking(platform, GOOD, clients=16), slowed(0.01, "gateway-1", "gateway-2"):
        yield


@contextmanager
def filtered(part: str, *rule: str) -> Iterator[None]:
    """Have the kernel heed a rule for a part's packets."""
    pid = docker("inspect", "--format", "{{.State.Pid}}", name(part))
    inside = ["nsenter", "-t", pid, "-n", "iptables"]
    subprocess.run([*inside, "-A", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run([*inside, "-D", *rule], check=True)


@contextmanager
def deaf_forecaster(_: Platform) -> Iterator[None]:
    """Have the forecaster run and not reach Prometheus."""
    where = ("-d", address("prometheus-1"), "-p", "tcp", "--dport", "9090")
    with filtered("autoscaler-1", "OUTPUT", *where, "-j", "DROP"):
        yield


@contextmanager
def restarts(_: Platform) -> Iterator[None]:
    """Have a gateway end again and again."""
    for _n in range(4):
        kill("gateway-1")
    yield


@contextmanager
def usage_refused(platform: Platform) -> Iterator[None]:
    """Have the database refuse what keys have used."""
    sql("REVOKE INSERT ON usage FROM ollamamax")
    try:
        with asking(platform, GOOD, clients=1):
            yield
    finally:
        sql("GRANT INSERT ON usage TO ollamamax")


@contextmanager
def deadlock(_: Platform) -> Iterator[None]:
    """Have two sessions wait for each other."""
    locks = "SELECT pg_advisory_lock({}); SELECT pg_sleep(2); SELECT pg_advisory_lock({})"
    command = ["docker", "exec", name("postgres-1"), "psql", "-U", "postgres", "-d", "ollamamax", "-c"]
    sessions = [
        subprocess.Popen(
            [*command, locks.format(*order)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for order in ((1, 2), (2, 1))
    ]
    assert {session.wait(60) for session in sessions} == {0, 1}, "one of both is ended"
    yield


@contextmanager
def database_full(_: Platform) -> Iterator[None]:
    """Have most connections of PostgreSQL taken."""
    most = int(sql("SHOW max_connections"))
    taken = int(sql("SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL"))
    with pgbench("\\sleep 300 s", int(most * 0.83) - taken, "--username=postgres"):
        yield


@contextmanager
def edge_full(platform: Platform) -> Iterator[None]:
    """Have most connections of a small edge taken by clients that stay."""
    with ExitStack() as undo:
        for _ in range(105):
            one = http.client.HTTPSConnection("localhost", platform.port, context=platform.trust, timeout=10)
            undo.callback(one.close)
            one.request("GET", "/api/version", headers=platform.headers)
            one.getresponse().read()
        yield


@contextmanager
def unreadable_model(_: Platform) -> Iterator[None]:
    """Have a worker that has forgotten what it should always have in memory, and cannot read it again."""
    docker("exec", name("worker-1"), "ollama", "stop", "tiny")
    docker("exec", name("worker-1"), "sh", "-c", f"chmod 000 $({WEIGHTS})")
    try:
        yield
    finally:
        docker("exec", name("worker-1"), "sh", "-c", f"chmod 600 $({WEIGHTS})")


@contextmanager
def failing_worker(platform: Platform) -> Iterator[None]:
    """Have a worker that looks well and breaks the connection of each request that it is to answer."""
    requests = ("-p", "tcp", "--dport", "11434", "-m", "string", "--algo", "bm", "--string", "POST /api/")
    reset = ("-j", "REJECT", "--reject-with", "tcp-reset")
    with filtered("worker-1", "INPUT", *requests, *reset), asking(platform, GOOD):
        yield


@contextmanager
def unheard(platform: Platform) -> Iterator[None]:
    """Have an Alertmanager that hangs while there is something to tell."""
    with paused("redis-1")(platform):
        with paused("alertmanager-1")(platform):
            eventually(lambda: failed_deliveries() > 0, 60, "Prometheus gives up")
        yield


def failed_deliveries() -> int:
    """Return how often Prometheus said that it could not deliver."""
    said = subprocess.run(
        ["docker", "logs", "--since", "1m", name("prometheus-1")], capture_output=True, text=True, check=True
    )
    return said.stderr.count("Error sending alert")


@contextmanager
def broken_rule(_: Platform) -> Iterator[None]:
    """Have a rule that cannot be evaluated, in place since a release."""
    mounted = '{{range .Mounts}}{{if eq .Destination "/etc/ollamamax"}}{{.Source}}{{end}}{{end}}'
    file = Path(docker("inspect", "--format", mounted, name("prometheus-1"))) / "rules-broken.yml"
    rules = {"groups": [{"name": "broken", "rules": [{"record": "broken", "expr": "up + on () up"}]}]}
    file.write_text(str(rules))
    docker("kill", "--signal", "HUP", name("prometheus-1"))
    try:
        yield
    finally:
        file.unlink()
        docker("kill", "--signal", "HUP", name("prometheus-1"))


@contextmanager
def whole_budget(_: Platform) -> Iterator[None]:
    """Have Prometheus know of no requests that failed before."""
    data = '{{range .Mounts}}{{if eq .Type "volume"}}{{if .RW}}{{.Source}}{{end}}{{end}}{{end}}'
    folder = Path(docker("inspect", "--format", data, name("prometheus-1")))
    docker("stop", name("prometheus-1"))
    for found in folder.iterdir():
        shutil.rmtree(found) if found.is_dir() else found.unlink()
    docker("start", name("prometheus-1"))
    yield


@contextmanager
def large_budget(platform: Platform) -> Iterator[None]:
    """Have so many requests answered well that what fails for a minute leaves most of the error budget."""
    watchers = Watchers(platform)
    answered = f"sum(increase(ollamamax_requests_total{{code='200'}}[{ANSWERED_S}s])) > {ANSWERED}"
    with whole_budget(platform), asking(platform, GOOD, clients=8):
        eventually(lambda: bool(watchers.query(answered)), ANSWERED_S, f"{ANSWERED} requests are answered")
    watchers.close()
    yield


TOGETHER: Sequence[str] = ("CacheAway", "DatabaseAway", "EdgeDown", "WorkerDown")
"""What can be caused at the same time, and is seen within a minute."""
ANSWERED, ANSWERED_S = 40_000, 600
"""Requests answered well, and the time that they may take."""
FORGOTTEN_S = 330
"""Alertmanager believes a Prometheus for four minutes that was replaced before it took something back."""
FAULTS: Mapping[str, Fault] = {
    "AlertsUndelivered": Fault(unheard, over_s=150, also=frozenset({"CacheAway"})),
    "CacheAway": Fault(paused("redis-1")),
    "CacheConnectionsHigh": Fault(lambda _: sockets(address("redis-1"), 6379, 820), 90),
    "CertificateExpires": Fault(
        set_to(alerts={**ALERTS, "certificateDays": {"target": 9000, "warning": 8000, "critical": 1}}),
        over_s=FORGOTTEN_S,
    ),
    "DatabaseAway": Fault(paused("postgres-1")),
    "DatabaseConnectionsHigh": Fault(database_full, 90),
    "DatabaseDeadlocks": Fault(deadlock, over_s=150),
    "DiskFull": Fault(
        set_to(alerts={**ALERTS, "diskFreePercent": {"target": 100, "warning": 99.9, "critical": 0.2}}),
        over_s=FORGOTTEN_S,
    ),
    "EdgeConnectionsHigh": Fault(
        edge_full, 90, under=set_to(edge={"workerProcesses": 1, "workerConnections": 128})
    ),
    "EdgeDown": Fault(paused("edge-1")),
    "ForecastOld": Fault(deaf_forecaster, 240),
    "GatewayDown": Fault(stopped("gateway-2")),
    "GatewayMemoryHigh": Fault(
        set_to(alerts={**ALERTS, "memoryMib": {"target": 1, "warning": 2, "critical": 2000}}),
        90,
        FORGOTTEN_S,
    ),
    "GatewayRestartsOften": Fault(restarts, over_s=240),
    "MemoryShort": Fault(
        set_to(nodeMemory={"warningMib": 600, "criticalMib": 700}),
        180,
        under=set_to(gateway={"resources": {"memoryMib": 512, "cpus": 2}, "goMemoryLimitMib": 256}),
    ),
    "ModelNotLoaded": Fault(unreadable_model, 180),
    "PlatformTimeHigh": Fault(slow_gateways, 120),
    "PoolClientsWait": Fault(lambda _: pooled("SELECT pg_sleep(1);", 60), 90),
    "PoolConnectionsHigh": Fault(lambda _: pooled("\\sleep 300 s", 820), 120),
    "RulesFail": Fault(broken_rule, over_s=150),
    "SlotWaitHigh": Fault(waiting, 180),
    "TargetDown": Fault(paused("exporter-machine-1"), 90),
    "ThroughputLow": Fault(
        waiting,
        180,
        under=set_to(alerts={**ALERTS, "throughput": {"target": 10, "warning": 9, "critical": 8}}),
    ),
    "UsageNotWritten": Fault(usage_refused, 180),
    "WorkerDown": Fault(paused("worker-1")),
    "WorkerFailing": Fault(failing_worker, 120),
    "WorkersAllDown": Fault(paused("worker-1", "worker-2")),
    # These fail requests, which the error budget remembers for longer than the others take.
    "RequestsRefused": Fault(waiting, 180, under=set_to(gateway={"routing": {"queue": {"perKey": 2}}})),
    "ErrorsHigh": Fault(failing(0.1, clients=1), 90, under=large_budget),
    "ErrorBudgetBurnsFast": Fault(failing(0.05), 240, 300, under=whole_budget),
    "ErrorBudgetBurnsSlowly": Fault(failing(0.02), 1200, 2700, under=whole_budget),
}
