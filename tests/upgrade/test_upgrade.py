"""From every release that is kept to this checkout: what lasts stays, and the database loses nothing."""

import json
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from components.service import CONFIG_DIR, Service
from tests.cloud.conftest import Simulated, steps
from tests.cloud.test_preview import PRECIOUS
from tests.containers import build, running, secrets, serving
from tests.gateway.conftest import client
from tests.identity import Identity
from tests.templates.conftest import identity, services
from tests.templates.rendered import archive, output_of, plain_config, run_in, wait_until_healthy
from tests.upgrade.kept import CLOUD, MACHINE, Kept, all_kept, current

__all__ = ["client", "identity", "services"]

KEPT = all_kept()
SECRETS = (
    "random:index/randomPassword:RandomPassword",
    "tls:index/privateKey:PrivateKey",
    "tls:index/selfSignedCert:SelfSignedCert",
)
LASTING = {MACHINE: ("docker:index/volume:Volume", *SECRETS), CLOUD: (*PRECIOUS, *SECRETS)}
"""What no release may replace or delete: data and what it stands on, passwords, keys, and the authority that
clients trust."""
DERIVED = re.compile(r"-files$")
"""Volumes that hold no data: what is in them is made of the settings."""
TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
AND NOT relispartition AND relname <> 'schema_version' ORDER BY 1
"""
ROWS = "SELECT coalesce(json_agg(to_jsonb(t)), '[]') FROM {} t"
Rows = dict[str, list[dict[str, Any]]]

every_release = pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.version)


def test_this_release_is_kept() -> None:
    kept = Kept(current())
    files = [kept.database, kept.checkpoint(MACHINE), kept.checkpoint(CLOUD)]
    missing = [str(file) for file in files if not file.exists()]
    assert not missing, f"{missing}: python -m tests.upgrade.keep makes what a release commits"


@pytest.mark.parametrize(("kept", "name"), [(one, stack) for one in KEPT for stack in one.stacks])
def test_what_lasts_is_neither_replaced_nor_deleted(kept: Kept, name: str, tmp_path: Path) -> None:
    stack = Simulated(name, tmp_path)
    stack.write(lambda settings: None)
    imported = stack.engine("import", "--file", str(kept.checkpoint(name)), simulate=False)
    assert imported.returncode == 0, imported.stderr
    preview = stack.engine("preview", "--json", simulate=False)
    assert preview.returncode == 0, preview.stdout[-3000:] + preview.stderr[-3000:]
    ops = {(step.type, step.name): step.op for step in steps(json.loads(preview.stdout))}
    lasting = [
        (one["type"], called)
        for one in kept.resources(name)
        if one["type"] in LASTING[name] and not DERIVED.search(called := one["urn"].rpartition("::")[2])
    ]
    assert {kind for kind, _ in lasting} == set(LASTING[name])
    assert {one: ops[one] for one in lasting if ops.get(one, "update") != "update"} == {}


@pytest.fixture
def database(
    request: pytest.FixtureRequest,
    client: docker.DockerClient,
    services: Mapping[str, Service],
    identity: Identity,
) -> Iterator[Container]:
    """Return PostgreSQL with what a release has kept, or with an empty database."""
    network = client.networks.create(f"ollamamax-upgrade-{uuid.uuid4().hex[:8]}", internal=True)
    try:
        with serving(client, network, services["postgres"], identity) as container:
            wait_until_healthy(container, services["postgres"])
            yield container
    finally:
        network.remove()


@pytest.fixture
def migrate(
    database: Container, client: docker.DockerClient, services: Mapping[str, Service], identity: Identity
) -> Callable[..., None]:
    """Return a function that runs this checkout's migrations."""
    service = services["migrations"]
    files = archive(plain_config(service), secrets(service, identity) | {"api-key": "omx-" + "k" * 32})
    (network,) = client.networks.list(names=[str(database.name).removesuffix("-postgres")])

    def run_job(*words: str) -> None:
        options: dict[str, Any] = {"command": ["migrate", *words], "volumes": [CONFIG_DIR]}
        with running(client, network, service.name, build(service.image), files, **options) as job:
            status = subprocess.run(["docker", "wait", str(job.id)], capture_output=True, check=True).stdout
            assert int(status) == 0, output_of(job)

    return run_job


@every_release
def test_the_database_goes_forward_and_back_without_a_loss(
    kept: Kept, database: Container, migrate: Callable[..., None]
) -> None:
    load(database, kept.database.read_text())
    version = sql(database, "SELECT version FROM schema_version")
    schema, before = schema_of(database), rows_of(database)
    assert all(before.values()), "a table without a row proves nothing"
    migrate()
    after = rows_of(database)
    for table, rows in before.items():
        for row in rows:
            assert any(row.items() <= other.items() for other in after[table]), f"{table} lost {row}"
    migrate("-to", version)
    assert rows_of(database) == before
    assert schema_of(database) == schema
    migrate("-to", "0")
    assert rows_of(database) == {}
    migrate("-to", version)
    assert schema_of(database) == schema, "a migration that was released has been edited"


def load(database: Container, text: str) -> None:
    """Run SQL that may not fail."""
    words = ["psql", "--username=postgres", "--quiet", "--set=ON_ERROR_STOP=1", "ollamamax"]
    done = subprocess.run(
        ["docker", "exec", "--interactive", str(database.id), *words],
        input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def sql(database: Container, statement: str) -> str:
    """Run a statement and return its answer."""
    done = run_in(database, "psql", "--username=postgres", "-At", "--command", statement, "ollamamax")
    assert done.returncode == 0, done.stdout
    return done.stdout.strip()


def rows_of(database: Container) -> Rows:
    """Return all rows of all tables, but for what the stack's own settings write."""
    found: Rows = {}
    for table in sql(database, TABLES).split():
        rows = json.loads(sql(database, ROWS.format(table)))
        kept = [row for row in rows if row.get("source") != "stack"]
        found[table] = sorted(kept, key=lambda row: json.dumps(row, sort_keys=True))
    return found


def schema_of(database: Container) -> str:
    """Return the schema as SQL, without the partitions, which are data, and the dump's own password."""
    words = ["--username=postgres", "--schema-only", "--exclude-table=usage_2*", "ollamamax"]
    done = run_in(database, "pg_dump", *words)
    assert done.returncode == 0, done.stdout
    return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)
