"""What the database's server does with a dump that waits for it in an empty volume."""

import io
import subprocess
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import docker
import pytest
from docker.models.containers import Container
from docker.models.networks import Network

from components.service import Service
from ops import volumes
from ops.restore import USER, WAITING
from tests.containers import build, running, secrets
from tests.gateway.conftest import client
from tests.identity import Identity
from tests.templates.conftest import identity, services
from tests.templates.rendered import archive, plain_config, run_in, wait_until_healthy

__all__ = ["client", "identity", "services"]

MADE = """
SET ROLE ollamamax;
CREATE TABLE kept (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text);
INSERT INTO kept (what) SELECT 'row ' || n FROM generate_series(1, 1000) n;
"""
FOUND = """
SELECT tableowner, (SELECT count(*) FROM kept), nextval('kept_id_seq') FROM pg_tables WHERE tablename = 'kept'
"""


@dataclass
class Server:
    """A server of the platform's image, on a volume of the test's own."""

    client: docker.DockerClient
    network: Network
    service: Service
    files: bytes
    volume: str

    def start(self) -> AbstractContextManager[Container]:
        """Start the server; nothing but the volume outlives it."""
        data = {self.volume: {"bind": self.service.volumes[0].path, "mode": "rw"}}
        return running(self.client, self.network, "postgres", build("postgres"), self.files, volumes=data)


@pytest.fixture
def server(
    client: docker.DockerClient, services: Mapping[str, Service], identity: Identity
) -> Iterator[Server]:
    name = f"ollamamax-images-{uuid.uuid4().hex[:8]}"
    service = services["postgres"]
    network = client.networks.create(name, internal=True)
    volume = client.volumes.create(name)
    try:
        files = archive(plain_config(service), secrets(service, identity))
        yield Server(client, network, service, files, name)
    finally:
        volume.remove(force=True)
        network.remove()


def put(volume: str, dump: bytes) -> None:
    """Put a dump into the volume, as a restore does."""
    with volumes.filling(volume) as tar:
        folder, file = tarfile.TarInfo("."), tarfile.TarInfo(WAITING)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        file.size, file.mode = len(dump), 0o600
        folder.uid = file.uid = USER
        tar.addfile(folder)
        tar.addfile(file, io.BytesIO(dump))


def test_a_dump_is_loaded_before_the_server_can_be_reached(server: Server) -> None:
    with server.start() as first:
        wait_until_healthy(first, server.service)
        made = run_in(first, "psql", "--username=postgres", "--quiet", "--command", MADE, "ollamamax")
        assert made.returncode == 0, made.stdout
        words = ["pg_dump", "--username=postgres", "--format=custom", "ollamamax"]
        dump = subprocess.run(
            ["docker", "exec", str(first.id), *words], capture_output=True, check=True
        ).stdout
    server.client.volumes.get(server.volume).remove()
    server.client.volumes.create(server.volume)
    put(server.volume, dump)
    with server.start() as second:
        wait_until_healthy(second, server.service)
        found = run_in(second, "psql", "--username=postgres", "-At", "--command", FOUND, "ollamamax")
        assert found.stdout == "ollamamax|1000|1001\n"
        left = run_in(second, "ls", server.service.volumes[0].path)
        assert left.stdout.split() == ["17", "lock"], "the dump is gone, and nothing else is left of it"


def test_a_dump_that_is_none_leaves_no_cluster(server: Server) -> None:
    put(server.volume, b"no dump")
    with server.start() as container:
        status = subprocess.run(["docker", "wait", str(container.id)], capture_output=True, text=True).stdout
        assert int(status) != 0
        assert "pg_restore: error" in container.logs().decode()
    with volumes.content_of(server.volume, "--exclude=./17.draft/*", ".") as tar:
        left = {one.name for one in tar}
    assert "./17" not in left, "what is half loaded is not a database"
    assert f"./{WAITING}" in left
