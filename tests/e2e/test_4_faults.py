"""SIGKILL from the host to the main process of a part, under load: nothing that had not begun may fail."""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import ollama
import pytest

from tests.e2e.causes import name, obeyed, paused
from tests.e2e.conftest import STACK, Platform, docker
from tests.e2e.waiting import eventually

CLIENTS = 50
HEAL_S = 60


class Load:
    """Clients that stream completions one after the other.

    Attributes:
        results: how many ended well ("ok"), broke after their first piece ("broke") or before it ("failed").
        errors: what the failed ones saw.
    """

    def __init__(self, platform: Platform, clients: int = CLIENTS) -> None:
        self.results: Counter[str] = Counter()
        self.errors: list[str] = []
        self._platform = platform
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(n,)) for n in range(clients)]

    def _client(self, number: int) -> None:
        client = ollama.Client(
            host=self._platform.url, headers=self._platform.headers, verify=self._platform.trust, timeout=90
        )
        ask = [{"role": "user", "content": f"client {number}"}]
        while not self._stop.is_set():
            began = False
            try:
                for _ in client.chat("tiny", ask, stream=True, options={"num_predict": 24}):
                    began = True
                self.results["ok"] += 1
            except Exception as error:
                self.results["broke" if began else "failed"] += 1
                if not began:
                    self.errors.append(f"{type(error).__name__}: {error}")
        client._client.close()

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Run the clients inside the block; requests under way at its end are finished."""
        for thread in self._threads:
            thread.start()
        try:
            self.make_progress()
            yield self
            self.make_progress()
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def make_progress(self) -> None:
        """Wait until every client has, on average, finished one more request."""
        goal = self.results["ok"] + len(self._threads)
        eventually(lambda: self.results["ok"] >= goal, 60, "the load makes progress")


def is_healthy(part: str) -> bool:
    """Tell whether a container's health check passes now: Docker asks every quarter of a minute."""
    kind, *command = json.loads(
        docker("inspect", "--format", "{{json .Config.Healthcheck.Test}}", name(part))
    )
    assert kind == "CMD"
    return obeyed("exec", name(part), *command)


def kill(part: str) -> None:
    """Send SIGKILL from the host, as the kernel would: Docker's own kill would stop it from coming back."""
    pid = int(docker("inspect", "--format", "{{.State.Pid}}", name(part)))
    started = docker("inspect", "--format", "{{.State.StartedAt}}", name(part))
    os.kill(pid, signal.SIGKILL)
    eventually(
        lambda: docker("inspect", "--format", "{{.State.StartedAt}}", name(part)) != started,
        HEAL_S,
        f"{part} is started again",
    )
    eventually(lambda: is_healthy(part), HEAL_S, f"{part} is healthy again")


@pytest.mark.parametrize(
    "part",
    [
        *("gateway-1", "worker-1", "redis-1", "pgbouncer-1"),
        *(pytest.param(part, marks=pytest.mark.long) for part in ("gateway-2", "worker-2", "postgres-1")),
    ],
)
def test_no_request_that_had_not_begun_fails_when_a_part_is_killed(platform: Platform, part: str) -> None:
    load = Load(platform)
    with load.running():
        kill(part)
    assert load.errors == []
    assert load.results["failed"] == 0
    assert load.results["broke"] <= CLIENTS


def test_known_keys_work_and_unknown_ones_are_unsure_while_the_database_is_away(platform: Platform) -> None:
    import httpx

    def unknown() -> int:
        return httpx.get(
            f"{platform.url}/api/tags",
            headers={"Authorization": "Bearer new"},
            verify=platform.trust,
            timeout=30,
        ).status_code

    with paused("postgres-1", "pgbouncer-1")(platform):
        eventually(lambda: unknown() == 503, 60, "an unknown key gets 503 once the keys cannot be read")
        known = httpx.get(f"{platform.url}/api/tags", headers=platform.headers, verify=platform.trust)
        assert known.status_code == 200
    eventually(lambda: unknown() == 401, 60, "an unknown key gets 401 again")


def test_a_changed_gateway_is_rolled_out_without_a_failed_request(platform: Platform) -> None:
    before = dict(line.split() for line in docker("ps", "--format", "{{.Names}} {{.ID}}").splitlines())
    source = platform.checkout.root / "docker" / "gateway" / "main.go"
    source.write_text(source.read_text() + "\n// Changed by a test.\n")
    load = Load(platform, clients=20)
    with load.running():
        up = platform.checkout.make("up")
    assert up.status == 0, up.text
    assert load.results["failed"] == load.results["broke"] == 0, load.errors
    after = dict(line.split() for line in docker("ps", "--format", "{{.Names}} {{.ID}}").splitlines())
    mine = f"ollamamax-{STACK}-"
    changed = {
        name.removeprefix(mine) for name in before if name.startswith(mine) and before[name] != after[name]
    }
    assert changed == {"gateway-1", "gateway-2"}
    first, second = (up.text.index(f"gateway-{n} deleting original") for n in (1, 2))
    ready = up.text.index("gateway-1 created replacement")
    assert first < ready < second, "one after the other"
