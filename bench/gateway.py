"""The gateway as a benchmark runs it: its image's program, with the default settings."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import yaml

from bench.machine import MEASURED_CORE, free_port, process, run, wait_for
from bench.parts import Stores
from bench.traffic import Target
from components import gateway
from components.service import CONFIG_DIR, Peer, Workers
from stacks.settings import NodeMemorySettings, Settings
from tests.templates.rendered import PASSWORD

UNLIMITED = 2_000_000_000
"""Requests and tokens a minute of the benchmark's key: the limits are counted, and never reached."""
SLOTS = 4096
"""Of the mock: requests wait for the gateway, not for a slot."""
SILENCE_S = 60
BUSY_NODE = NodeMemorySettings(warning_mib=524_288, critical_mib=1_048_576)
"""Whatever else runs on the machine takes nothing from the gateway's caches."""
SCOPES = "inference,models:read,nodes"


@dataclass(frozen=True)
class Gateway:
    """A gateway's program and configuration, and a key of it."""

    program: Path
    folder: Path
    environment: Mapping[str, str]
    key: str

    def beside(
        self, name: str, backends: Sequence[str], loaded_models: int = SLOTS, silence_s: int = SILENCE_S
    ) -> "Gateway":
        """Return the same gateway before other backends, with files of its own."""
        name = name.replace(" ", "-").lower()
        folder = self.folder / name
        folder.mkdir()
        config = yaml.safe_load((self.folder / "gateway.yaml").read_text())
        config["name"] = name
        config["workers"] |= {
            "hosts": list(backends),
            "limits": [{"host": host, "slots": SLOTS, "loadedModels": loaded_models} for host in backends],
            "responseTimeout": f"{silence_s}s",
        }
        (folder / "gateway.yaml").write_text(yaml.safe_dump(config))
        return replace(self, folder=folder)

    @contextmanager
    def serve(self, **environment: str) -> Iterator[Target]:
        """Run it on its core, with the default settings' environment but for this."""
        file, output = self.folder / "gateway.yaml", self.folder / "gateway.log"
        address, admin = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        config = yaml.safe_load(file.read_text()) | {"listen": address, "adminListen": admin}
        file.write_text(yaml.safe_dump(config))
        command = [str(self.program), "serve", "--config", str(file)]
        everything = {**self.environment, "GOMAXPROCS": "1", **environment}
        with process(command, MEASURED_CORE, output, everything) as pid:
            wait_for(admin, "/readyz", output)
            yield Target(address, pid, self.key)


def program_of(client: docker.DockerClient, image: str, folder: Path) -> Path:
    """Take the program out of an image."""
    program = folder / "ollama-distributed"
    container = client.containers.create(image)
    try:
        subprocess.run(["docker", "cp", f"{container.id}:/ollama-distributed", str(program)], check=True)
    finally:
        container.remove()
    return program


def prepare_gateway(at: Stores, folder: Path, program: Path) -> Gateway:
    """Configure a gateway as a stack does, before no backend yet, and bring its database to its schema."""
    args = gateway.GatewayArgs(
        settings=Settings(target="docker").gateway,
        workers=[Workers("127.0.0.1:1", SLOTS, SLOTS)],
        worker_services=[],
        longest_silence_s=SILENCE_S,
        database=Peer("127.0.0.1", at.database),
        pool=Peer("127.0.0.1", at.pool),
        cache=Peer("127.0.0.1", at.cache),
        ca_certificate="",
        database_password="",
        cache_password="",
        api_key="",
        node_memory=BUSY_NODE,
    )
    secrets = folder / "secrets"
    secrets.mkdir()
    service, migrations = gateway.describe(args), gateway.describe_migrations(args)
    for name in {*service.secrets, *migrations.secrets}:
        (secrets / name).write_text(
            at.identity.authority if name.endswith("ca.pem") else PASSWORD.ljust(32, "x")
        )
    (secrets / "database-password").write_text(PASSWORD)
    (secrets / "redis-password").write_text(PASSWORD)
    for name, described in (("gateway", service), ("migrations", migrations)):
        text = str(described.config["gateway.yaml"]).replace(f"{CONFIG_DIR}/secrets", str(secrets))
        (folder / f"{name}.yaml").write_text(text)
    run(program, "migrate", "--config", str(folder / "migrations.yaml"))
    limits = ("--rpm", str(UNLIMITED), "--tpm", str(UNLIMITED))
    made = run(
        *(program, "keys", "create", "--name", "bench", "--json", "--scopes", SCOPES, *limits),
        *("--config", str(folder / "gateway.yaml")),
    )
    return Gateway(program, folder, dict(service.env), json.loads(made)["secret"])
