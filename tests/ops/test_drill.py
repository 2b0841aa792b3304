"""The restore drill in small: a stack's stores alone are backed up, destroyed with their state, and restored.

``tests/e2e/test_6_restore.py`` does the same with the whole platform, and measures it.
"""

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import backup, restore
from ops.stack import Stack, StackError
from tests.e2e.conftest import copy_checkout
from tests.ops.test_archive import nothing

NAME = "drill"
LABEL = f"label=ollamamax.stack={NAME}"
SETTINGS = """\
config:
  ollamamax:target: docker
  ollamamax:models: [tiny]
  ollamamax:portOffset: 3000
  ollamamax:docker: {subnet: 172.16.97.0/24}
"""
PROGRAM = """\
import pulumi

import stacks
from components import database, worker
from components.certificates import Certificates
from components.credentials import Credentials
from components.docker_target import DockerTarget, DockerTargetArgs

settings, stack = stacks.load(), pulumi.get_stack()
credentials = Credentials("credentials", settings.rotation)
certificates = Certificates("certificates", stack, settings.rotation)
target = DockerTarget("docker", DockerTargetArgs(settings.docker, stack, "0.1.0", settings.port_offset))
certificate, ca = certificates.issue("postgres", ["postgres"]), certificates.ca_certificate
password, admin = credentials.database, credentials.database_admin
args = database.DatabaseArgs(settings.database, certificate, ca, password, admin)
database.Database("database", args, target)
worker.Worker("worker", worker.WorkerArgs(settings.worker, drain_timeout_s=10), target)
pulumi.export("version", "0.1.0")
pulumi.export("password", password)
"""
MADE = """
SET ROLE ollamamax;
CREATE TABLE schema_version (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
INSERT INTO schema_version VALUES (6, false);
CREATE TABLE kept (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text);
INSERT INTO kept (what) SELECT 'row ' || n FROM generate_series(1, 10000) n;
"""
ROWS = "SELECT md5(string_agg(k::text, ',' ORDER BY id)), nextval('kept_id_seq') FROM kept k"
FILES = "cd /models && find . -type f | sort | xargs sha256sum && find . | sort | xargs stat -c '%n %u:%g %a'"


def docker(*words: str) -> str:
    return subprocess.run(
        ["/usr/bin/docker", *words], capture_output=True, text=True, check=True
    ).stdout.strip()


def left() -> list[str]:
    return [
        *docker("ps", "--all", "--quiet", "--filter", LABEL).split(),
        *docker("network", "ls", "--quiet", "--filter", LABEL).split(),
        *docker("volume", "ls", "--quiet", "--filter", LABEL).split(),
    ]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Return a stack of stores with something in them; nothing of it is left afterwards."""
    root = copy_checkout(tmp_path).root
    (root / "__main__.py").write_text(PROGRAM)
    (root / "stacks" / f"Pulumi.{NAME}.yaml").write_text(SETTINGS)
    found = Stack(NAME, root)
    found.prepare()
    try:
        found.up()
        yield found
    finally:
        found.destroy(data=True)
        assert left() == []


def picture(stack: Stack) -> dict[str, str]:
    """Return everything that has to come back."""
    psql = ["psql", "--username=postgres", "-At", "--command", ROWS, "ollamamax"]
    found = {"rows": docker("exec", f"ollamamax-{NAME}-postgres-1", *psql).rpartition("|")[0]}
    for one in ("worker-1", "worker-2"):
        found[one] = docker("exec", f"ollamamax-{NAME}-{one}", "sh", "-c", FILES)
    return found | {"outputs": json.dumps(stack.outputs(show_secrets=True), sort_keys=True)}


@pytest.mark.long
def test_what_is_destroyed_with_its_state_comes_back_as_it_was(stack: Stack, tmp_path: Path) -> None:
    psql = ["psql", "--username=postgres", "--quiet", "--command", MADE, "ollamamax"]
    docker("exec", f"ollamamax-{NAME}-postgres-1", *psql)
    for one in ("worker-1", "worker-2"):
        docker(
            "exec",
            f"ollamamax-{NAME}-{one}",
            *("ollama", "create", "tiny", "-f", "/usr/share/ollamamax/tiny.Modelfile"),
        )
    docker("exec", f"ollamamax-{NAME}-worker-2", "ollama", "cp", "tiny", "of-its-own")
    said: list[str] = []
    before = picture(stack)
    file = backup.backup(stack, None, said.append, nothing)
    assert said == ["the database", "the models of worker-1", "the models of worker-2"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert stack.outputs(show_secrets=True)["password"].encode() not in file.read_bytes()
    with tarfile.open(file) as tar:
        blobs = [name for name in tar.getnames() if name.startswith("blobs/")]
    assert len(blobs) == len(set(blobs)) > 0, "what workers have in common is there once"

    with pytest.raises(
        StackError, match=r"is not empty \(containers: \d+, volumes: \d+, networks: 1, resources"
    ):
        restore.restore(stack, file, said.append, nothing)
    assert picture(stack) == before

    passphrase = shutil.copy(stack.state / "passphrase", tmp_path)
    stack.destroy(data=True)
    assert left() == []
    shutil.rmtree(stack.state)
    stack.state.mkdir()
    shutil.copy(passphrase, stack.state)
    said.clear()
    assert restore.restore(stack, file, said.append, nothing).schema_version == 6
    assert not any("is not as it was then" in text for text in said)
    assert picture(stack) == before

    stack.destroy(data=True)
    stack.settings_file.write_text(SETTINGS.replace("3000", "4000"))
    (stack.root / "__main__.py").write_text(f"{PROGRAM}\nraise pulumi.RunError('not today')\n")
    with pytest.raises(StackError, match=f"^up of stack {NAME} failed"):
        restore.restore(stack, file, said.append, nothing)
    assert f"stacks/Pulumi.{NAME}.yaml is not as it was then: what it says now holds" in said
    assert said[-1] == "it failed: taking back what was restored so far"
    assert left() == []
