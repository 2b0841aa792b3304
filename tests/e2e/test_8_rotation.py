"""Every secret made anew while clients ask and stream: nothing fails, and the old one opens nothing.

What it measures goes into docs/operations.md: pytest -m long -s tests/e2e/test_8_rotation.py
"""

import asyncio
import re
import ssl
import subprocess
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import httpx
import pytest

from components.service import SECRETS_DIR
from tests.e2e.conftest import LABEL, STACK, Platform, docker
from tests.e2e.delivering import Load
from tests.e2e.test_5_changes import refused
from tests.e2e.waiting import eventually
from tests.edge.clients import LostError

pytestmark = pytest.mark.long

CA = f"{SECRETS_DIR}/ca.pem"
REFUSED = 0.002
"""Part of the connections that may be refused before a request is sent: nginx does so at any time, rarely."""


class Everyone(Load):
    """Streams over HTTP/1.1, 2 and 3 too, and clients that connect anew for each request.

    Results have these too: "came anew", those requests; "refused", connections in which none was sent.
    """

    async def _all(self) -> None:
        streams = (self._client(protocol, 9, True) for protocol in ("http/1.1", "h3"))
        newcomers = (self._newcomer(protocol, 10) for protocol in ("http/1.1", "h2", "h3"))
        await asyncio.gather(super()._all(), *streams, *newcomers)

    async def _newcomer(self, protocol: str, number: int) -> None:
        while not self._over:
            try:
                connection = await self._again(None, protocol)
            except (OSError, TimeoutError) as error:
                self.results["refused"] += 1
                self.errors.append(f"newcomer, {protocol}: {type(error).__name__}: {error}")
                continue
            try:
                await self._ask(connection, number, 1, False)
                await connection.close()
                self.results["came anew"] += 1
            except (LostError, OSError, TimeoutError) as error:
                self._note("failed", f"newcomer, {protocol}: {type(error).__name__}: {error}")


@contextmanager
def strangers(platform: Platform) -> Iterator[dict[int, list[float]]]:
    """Ask with keys that nobody has seen inside the block, ten times a second; note answers and times."""
    heard, over = defaultdict[int, list[float]](list), threading.Event()

    def ask() -> None:
        with httpx.Client(verify=platform.trust, timeout=30) as client:
            while not over.wait(0.1):
                headers = {"Authorization": f"Bearer omx-{uuid.uuid4().hex}"}
                status = client.get(f"{platform.url}/api/tags", headers=headers).status_code
                heard[status].append(time.monotonic())

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield heard
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def rotation() -> dict[str, str]:
    """The generations so far."""
    return {}


@dataclass(frozen=True)
class Rotate:
    """Makes secrets of a running platform anew, under load."""

    platform: Platform
    generations: dict[str, str]
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *secrets: str) -> None:
        """Give secrets another generation; not one request may fail."""
        self.generations.update({one: f"g{len(self.generations)}-{time.monotonic_ns()}" for one in secrets})
        self.platform.checkout.settings(rotation=self.generations)
        with self.loaded(" and ".join(secrets)):
            up = self.platform.checkout.make("up")
            assert up.status == 0, up.text

    @contextmanager
    def loaded(self, what: str) -> Iterator[None]:
        """Ask and stream inside the block; say what came of it."""
        load, begun = Everyone(self.platform), time.monotonic()
        with load.running():
            yield
        with self.capsys.disabled():
            print(f"\n{what}: {load.all:,} requests, {dict(load.results)}, {time.monotonic() - begun:.0f} s")
            for error in load.errors[:10]:
                print(f"  {error}")
        assert load.bad == 0, load.errors
        refused_most = load.results["came anew"] * REFUSED
        assert load.results["refused"] <= refused_most, load.errors


@pytest.fixture
def rotate(platform: Platform, rotation: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Rotate:
    """What makes secrets anew."""
    return Rotate(platform, rotation, capsys)


def container(service: str) -> str:
    """Return the name of a service's first container."""
    return f"ollamamax-{STACK}-{service}-1"


def held(service: str, file: str) -> str:
    """Return what is in a file with secrets of a service."""
    return docker("exec", container(service), "cat", f"{SECRETS_DIR}/{file}")


def said(service: str, *words: str, env: str) -> str:
    """Return what a program beside a service says, with an environment variable of its own."""
    command = ["docker", "exec", "--env", env, container(service), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()


def ask_database(user: str, password: str, host: str, port: int) -> str:
    """Return 1, or why a password does not open a database."""
    where = f"user={user} host={host} port={port} dbname=ollamamax sslmode=verify-full sslrootcert={CA}"
    return said("postgres", "psql", where, "-Atc", "SELECT 1", env=f"PGPASSWORD={password}")


def ask_redis(password: str) -> str:
    """Return PONG, or why a password does not open Redis."""
    words = ("redis-cli", "--tls", "--cacert", CA, "-h", "redis", "PING")
    return said("redis", *words, env=f"REDISCLI_AUTH={password}")


def identities(*services: str) -> dict[str, str]:
    """Return which containers run, by service."""
    return {
        one: docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", container(one)) for one in services
    }


def test_the_databases_passwords(rotate: Rotate) -> None:
    files = {"ollamamax": "database-password", "postgres": "superuser-password"}
    before = {user: held("postgres", file) for user, file in files.items()}
    serving = identities("edge", "gateway", "redis")
    with strangers(rotate.platform) as heard:
        rotate("database")
    with rotate.capsys.disabled():
        away_s = max(heard[503], default=0) - min(heard[503], default=0)
        print(f"keys that nobody has seen: 503 for {away_s:.0f} s ({len(heard[503])}), else 401")
    assert set(heard) <= {401, 503}
    for user, file in files.items():
        assert ask_database(user, held("postgres", file), "postgres", 5432) == "1"
        assert "password authentication failed" in ask_database(user, before[user], "postgres", 5432)
    assert ask_database("ollamamax", held("postgres", files["ollamamax"]), "pgbouncer", 6432) == "1"
    assert "authentication failed" in ask_database("ollamamax", before["ollamamax"], "pgbouncer", 6432)
    assert identities(*serving) == serving, "who asks them goes on"


def test_the_caches_password(rotate: Rotate) -> None:
    def password() -> str:
        return held("redis", "redis.conf").split('"')[1]

    before, serving = password(), identities("edge", "gateway", "postgres")
    assert ask_redis(before) == "PONG"
    rotate("cache")
    assert "PONG" not in ask_redis(before)
    assert ask_redis(password()) == "PONG"
    assert identities(*serving) == serving


def test_the_monitorings_password(rotate: Rotate) -> None:
    def answers(password: str) -> set[int]:
        pages = rotate.platform.checkout.outputs()["dashboards"]
        return {
            httpx.get(pages[name], auth=(pages["user"], password), verify=rotate.platform.trust).status_code
            for name in ("prometheus", "alertmanager")
        }

    before = rotate.platform.checkout.outputs()["dashboards"]["password"]
    assert not answers(before) & {401}
    rotate("monitoring")
    assert answers(before) == {401}
    assert not answers(rotate.platform.checkout.outputs()["dashboards"]["password"]) & {401}


def test_the_servers_keys_and_certificates(rotate: Rotate) -> None:
    servers = {"postgres": "tls.key", "pgbouncer": "tls.key", "redis": "tls.key", "prometheus": "tls.key"}
    servers |= {"alertmanager": "tls.key", "edge": "tls.pem"}

    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", rotate.platform.port), timeout=10)

    before, certificate = {one: held(one, file) for one, file in servers.items()}, shown()
    serving = identities("edge", "gateway")
    rotate("certificates")
    assert [one for one, file in servers.items() if held(one, file) == before[one]] == []
    assert shown() != certificate
    assert shown() in held("edge", "tls.pem")
    assert identities(*serving) == serving
    assert rotate.platform.checkout.outputs()["caCertificate"] == rotate.platform.ca.read_text()


def test_the_passphrase(rotate: Rotate) -> None:
    checkout = rotate.platform.checkout
    file = checkout.root / ".state" / "passphrase"
    before, running = file.read_text(), docker("ps", "--quiet", "--filter", LABEL)
    with rotate.loaded("passphrase"):
        changed = checkout.make("rotate-passphrase")
        assert changed.status == 0, changed.text
        preview = checkout.make("preview")
        assert preview.status == 0, preview.text
    assert file.read_text() != before
    assert before not in changed.text
    assert file.read_text() not in changed.text
    for word in ("create", "update", "replace", "delete"):
        assert not re.search(rf"\d+ to {word}", preview.text), preview.text
    refused(checkout.make("preview", env={"PULUMI_CONFIG_PASSPHRASE": before}), "incorrect passphrase")
    assert docker("ps", "--quiet", "--filter", LABEL) == running


def test_the_api_key(rotate: Rotate) -> None:
    platform = rotate.platform

    def status(key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.get(f"{platform.url}/api/tags", headers=headers, verify=platform.trust).status_code

    rotate("apiKey")
    second = platform.checkout.outputs()["apiKey"]
    assert second != platform.key
    assert status(platform.key) == status(second) == 200, "both are good for a day"
    Rotate(replace(platform, key=second), rotate.generations, rotate.capsys)("apiKey")
    third = platform.checkout.outputs()["apiKey"]
    eventually(lambda: status(platform.key) == 401, 60, "the key before the one before is good no longer")
    assert status(second) == status(third) == 200


def test_the_authority_which_clients_have_to_trust_first(rotate: Rotate) -> None:
    checkout, platform = rotate.platform.checkout, rotate.platform
    checkout.settings(rotation={**rotate.generations, "authority": "next"})
    up = checkout.make("up")
    assert up.status == 0, up.text
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(f"{platform.url}/", verify=platform.trust)
    trust = ssl.create_default_context(cadata=checkout.outputs()["caCertificate"])
    assert httpx.get(f"{platform.url}/", verify=trust).status_code == 200
    unchanged = checkout.make("up")
    assert "created" not in unchanged.text, unchanged.text
