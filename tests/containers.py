"""Containers of the services, for tests and benchmarks: their images, and the secrets that they are given."""

import functools
import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container
from docker.models.networks import Network

from components import images, naming
from components.service import CONFIG_DIR, USER, Service
from engine.providers.docker_image import builder
from tests.identity import Identity
from tests.templates.rendered import PASSWORD, archive, plain_config, secret_files

REPOSITORY = Path(__file__).parents[1]


@functools.cache
def build(folder: str, *options: str) -> str:
    """Build an image of the project, once, and return its name."""
    context = REPOSITORY / "docker" / folder
    parts = [f"--build-arg={name}={build(part)}" for name, part in images.PARTS.get(folder, {}).items()]
    name = naming.image_name(folder, naming.content_hash(context, "tests", *parts))
    if options:
        name = f"ollamamax-{folder}-{options[-1].replace('=', '-').lower()}:tests"
    done = subprocess.run(
        [*builder(), "--quiet", *parts, *options, "--tag", name, str(context)],
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{folder} does not build:\n{done.stdout}"
    return name


def host_in(network: Network) -> str:
    """Return this machine's address in a network: the first one, as Docker takes it.

    Docker itself tells it only of a bridge that it has found there when it started.
    """
    return str(ip_network(network.attrs["IPAM"]["Config"][0]["Subnet"])[1])


def secrets(service: Service, identity: Identity) -> dict[str, str]:
    """Return the files with secrets that ``service`` reads; every password is the same."""
    own = secret_files(service.name)
    names = [*service.secrets, *service.vault]
    return {
        "ca.pem": identity.authority,
        "tls.crt": identity.certificate,
        "tls.key": identity.key,
        "tls.pem": identity.certificate + identity.key,
        **{name: identity.authority for name in names if name.endswith("ca.pem")},
        **{name: PASSWORD for name in names if "." not in name},
        **own,
    }


@contextmanager
def running(
    client: docker.DockerClient, network: Network, name: str, image: str, files: bytes = b"", **options: Any
) -> Iterator[Container]:
    """Run a container that others in the network know by its name; nothing of it is left afterwards."""
    container = client.containers.create(
        image,
        name=f"{network.name}-{name}",
        user=USER,
        network=network.name,
        networking_config={str(network.name): client.api.create_endpoint_config(aliases=[name])},
        **options,
    )
    try:
        if files:
            container.put_archive(CONFIG_DIR, files)
        container.start()
        yield container
    finally:
        container.remove(force=True, v=True)


def serving(
    client: docker.DockerClient, network: Network, service: Service, identity: Identity, **options: Any
) -> AbstractContextManager[Container]:
    """Run a service with its files; ``wait_until_healthy`` tells when it answers."""
    return running(
        client,
        network,
        service.name,
        build(service.image),
        archive(plain_config(service), secrets(service, identity)),
        command=list(service.command or ()),
        volumes=[CONFIG_DIR, *(volume.path for volume in service.volumes)],
        **options,
    )
