"""pgbench through PgBouncer, as ``make load SCENARIO=database`` runs it, beside the real parts."""

import subprocess
from collections.abc import Mapping

import docker
import pytest

from components.service import CONFIG_DIR, Service
from ops import pgbench
from ops.stack import Stack
from tests.containers import build, running, secrets
from tests.gateway.conftest import Parts
from tests.identity import Identity
from tests.templates.rendered import archive, output_of, plain_config


def test_pgbench_asks_through_pgbouncer_what_gateways_ask(
    parts: Parts,
    client: docker.DockerClient,
    services: Mapping[str, Service],
    identity: Identity,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = services["migrations"]
    files = archive(plain_config(job), secrets(job, identity) | {"api-key": "omx-" + "k" * 32})
    network = client.networks.get(parts.network)
    with running(
        client, network, job.name, build(job.image), files, command=["migrate"], volumes=[CONFIG_DIR]
    ) as made:
        done = subprocess.run(["docker", "wait", str(made.id)], capture_output=True, text=True, check=True)
        assert done.stdout == "0\n", output_of(made)
    database = client.containers.get(f"{parts.network}-postgres")
    monkeypatch.setattr(pgbench, "database_of", lambda _: database)
    measured = pgbench.run(Stack("local"), 2)
    assert measured[pgbench.RATE] > 0
    assert measured[pgbench.LATENCY] > 0
