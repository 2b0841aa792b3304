"""The restore drill: data is made and backed up, all that the stack has is destroyed, and restored.

What it measures goes into docs/backup.md: pytest -m long -s tests/e2e/test_6_restore.py
"""

import json
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import niquests
import pytest

from tests.e2e.conftest import STACK, Platform, docker, left_behind, sql
from tests.e2e.test_5_changes import refused
from tests.e2e.waiting import eventually

pytestmark = pytest.mark.long

USAGE = """
INSERT INTO usage SELECT day, key, 'model-' || model, 'drill', key, 0, model, key * model FROM
generate_series(current_date - 14, current_date - 1, interval '1 day') day, generate_series(1, 2000) key,
generate_series(1, 10) model
"""
ROWS = {
    "keys": "SELECT id, name, kind, encode(digest, 'hex'), scopes, tenant, created_at FROM api_keys "
    "WHERE source <> 'drill' ORDER BY id",
    "usage": "SELECT count(*), sum(requests), md5(string_agg(u::text, ' ' ORDER BY u::text)) FROM usage u "
    "WHERE day < current_date AND gateway = 'drill'",
    "aliases": "SELECT * FROM model_aliases ORDER BY name",
    "schema": "SELECT * FROM schema_version",
    "tables": "SELECT relname, relkind, relowner::regrole FROM pg_class "
    "WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
}
"""What is compared, row by row; what gateways write all the time is not."""
FILES = "cd /models && find . -type f | sort | xargs sha256sum && find . | sort | xargs stat -c '%n %u:%g %a'"


def picture(platform: Platform) -> dict[str, str]:
    """Return everything that has to come back, part by part."""
    found = {what: sql(statement) for what, statement in ROWS.items()}
    for worker in ("worker-1", "worker-2"):
        found[worker] = docker("exec", f"ollamamax-{STACK}-{worker}", "sh", "-c", FILES)
    return found | {"outputs": json.dumps(platform.checkout.outputs(), sort_keys=True)}


def ask(platform: Platform, key: str, model: str) -> int:
    """Ask a model for an answer, and return the status."""
    with niquests.Session() as session:
        session.trust_env = False
        return (
            session.post(
                f"{platform.url}/api/generate",
                json={"model": model, "prompt": "one", "stream": False, "options": {"num_predict": 1}},
                headers={"Authorization": f"Bearer {key}"},
                verify=str(platform.ca),
            ).status_code
            or 0
        )


@contextmanager
def written_to_all_along() -> Iterator[None]:
    """Have a client of the database commit a row every 50 ms."""
    insert = (
        "INSERT INTO api_keys (name, kind, digest, source, created_at) VALUES "
        "('drill', 'secret', sha256(clock_timestamp()::text::bytea), 'drill', clock_timestamp())"
    )
    words = ["--env", "PGAPPNAME=drill", f"ollamamax-{STACK}-postgres-1", "psql", "--quiet"]
    writer = subprocess.Popen(
        ["docker", "exec", "--interactive", *words, "--username=postgres", "ollamamax"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert writer.stdin
    writer.stdin.write(f"{insert} \\watch i=0.05\n")
    writer.stdin.flush()
    try:
        eventually(lambda: sql("SELECT count(*) > 3 FROM api_keys WHERE source = 'drill'") == "t", 20, "rows")
        yield
    finally:
        sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'drill'")
        writer.wait()
        writer.stdin.close()


def drilled() -> list[datetime]:
    """Return when each of the rows was committed that were written all along."""
    rows = sql("SELECT created_at FROM api_keys WHERE source = 'drill' ORDER BY created_at")
    return [datetime.fromisoformat(row) for row in rows.splitlines()]


@pytest.fixture(scope="module")
def key(platform: Platform) -> str:
    """Make the data, and return the secret of one of its keys."""
    sql("SELECT prepare_usage(current_date - 14, current_date, current_date - 14)")
    sql(USAGE)
    sql(
        "INSERT INTO model_aliases (name, targets, fallbacks, source, updated_by) VALUES "
        """('other:latest', '[{"model": "tiny:latest", "weight": 1, "variant": ""}]', '{}', 'api', 'drill')"""
    )
    made = docker("exec", f"ollamamax-{STACK}-worker-1", "ollama", "cp", "tiny", "mine")
    assert "copied" in made
    said = docker(
        "exec", f"ollamamax-{STACK}-gateway-1", "/ollama-distributed", "keys", "create", "--name", "laptop"
    )
    secret = next(word for word in said.split() if word.startswith("omx_"))
    eventually(lambda: ask(platform, secret, "mine") == 200, 30, "the key and the model are known")
    return secret


@pytest.fixture(scope="module")
def archive(platform: Platform, key: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere") / "stack.tar"


def test_what_is_destroyed_is_restored_as_it_was(
    platform: Platform, key: str, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = picture(platform)
    with written_to_all_along():
        begun = time.monotonic()
        backup = platform.checkout.make("backup", f"STACK={STACK}", f"OUT={archive}")
        backup_s = time.monotonic() - begun
        assert backup.status == 0, backup.text
        ended = drilled()[-1]
    rows = drilled()
    assert archive.stat().st_mode & 0o777 == 0o600
    with tarfile.open(archive) as tar:
        manifest = json.load(tar.extractfile("manifest.json") or pytest.fail("no manifest"))
    content = archive.read_bytes()
    outputs = platform.checkout.outputs()
    for secret in (key, outputs["apiKey"], outputs["dashboards"]["password"]):
        assert secret.encode() not in content, "a secret can be read in the archive"

    state = platform.checkout.root / ".state"
    passphrase = shutil.copy(state / "passphrase", tmp_path)
    down = platform.checkout.make("down", f"STACK={STACK}", "DATA=1")
    assert down.status == 0, down.text
    assert left_behind() == []
    shutil.rmtree(state)
    state.mkdir(mode=0o700)
    shutil.move(passphrase, state / "passphrase")

    begun = time.monotonic()
    restored = platform.checkout.make("restore", f"STACK={STACK}", f"ARCHIVE={archive}")
    restore_s = time.monotonic() - begun
    assert restored.status == 0, restored.text
    assert "HTTP/3" in restored.text
    after = picture(platform)
    for what, was in before.items():
        assert after[what] == was, what
    eventually(lambda: ask(platform, key, "mine") == 200, 30, "the key and the model are known")
    back, taken_at = drilled(), datetime.fromisoformat(manifest["taken_at"])
    assert back == rows[: len(back)], "what was committed comes back in order, without a gap"
    assert back[-1] >= taken_at, "and all of it that is older than the archive says of itself"
    rows_of_usage, mib = sql("SELECT count(*) FROM usage"), archive.stat().st_size / 2**20
    before_end_s = (ended - back[-1]).total_seconds()
    drill = f"{rows_of_usage} rows of usage, {mib:.1f} MiB; backup {backup_s:.1f} s"
    with capsys.disabled():
        print(f"\nrestore drill: {drill}, up to {before_end_s:.2f} s before its end; in {restore_s:.0f} s")
    assert "unchanged\n" in platform.checkout.make("up").text, "the state is that of what runs"


def test_a_restore_overwrites_nothing(platform: Platform, archive: Path) -> None:
    before = picture(platform)
    done = platform.checkout.make("restore", f"STACK={STACK}", f"ARCHIVE={archive}")
    refused(done, "overwrites nothing", f"make down STACK={STACK} DATA=1")
    assert picture(platform) == before


def test_a_restore_that_fails_leaves_nothing_and_the_next_one_works(
    platform: Platform, archive: Path
) -> None:
    before = picture(platform)
    assert platform.checkout.make("down", f"STACK={STACK}", "DATA=1").status == 0
    with socket.create_server(("0.0.0.0", platform.port)):  # noqa: S104 - where the edge would listen
        done = platform.checkout.make("restore", f"STACK={STACK}", f"ARCHIVE={archive}")
    refused(done, str(platform.port), "taking back")
    assert left_behind() == []
    restored = platform.checkout.make("restore", f"STACK={STACK}", f"ARCHIVE={archive}")
    assert restored.status == 0, restored.text
    assert picture(platform) == before
