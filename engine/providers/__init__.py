"""The packages whose resources the embedded engine manages itself."""

from collections.abc import Callable

from engine.provider import Provider, Resource
from engine.providers.docker import Connection, Network, Volume
from engine.providers.docker_container import Container
from engine.providers.docker_image import Image
from engine.providers.kubernetes import KubernetesProvider
from engine.providers.random import RandomPassword
from engine.providers.tls import CertRequest, LocallySignedCert, PrivateKey, SelfSignedCert
from engine.values import Properties


def _by_token(package: str, *types: Resource) -> dict[str, Resource]:
    """Resource types by token, `docker:index/volume:Volume`."""
    names = [(type(one).__name__, one) for one in types]
    return {f"{package}:index/{name[0].lower()}{name[1:]}:{name}": one for name, one in names}


class DockerProvider(Provider):
    """The docker package."""

    name, version, config_keys = "docker", "5.2.0", frozenset({"host"})

    def __init__(self) -> None:
        self._api = api = Connection()
        super().__init__(_by_token("docker", Container(api), Image(api), Network(api), Volume(api)))
        self.cancelled = api.cancelled

    def configure(self, args: Properties) -> None:
        """Take the daemon's address."""
        self._api.host = args.get("host", "")

    def close(self) -> None:
        """Hang up on the daemon."""
        self._api.close()


class Plain(Provider):
    """A package without settings."""

    def __init__(self, name: str, version: str, *types: Resource) -> None:
        super().__init__(_by_token(name, *types))
        self.name, self.version = name, version


PROVIDERS: dict[str, Callable[[], Provider]] = {
    "docker": DockerProvider, "kubernetes": KubernetesProvider,
    "random": lambda: Plain("random", "4.21.4", RandomPassword()),
    "tls": lambda: Plain("tls", "5.6.2", CertRequest(), LocallySignedCert(), PrivateKey(), SelfSignedCert()),
}  # fmt: skip
