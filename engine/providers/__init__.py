"""The packages whose resources the embedded engine manages itself."""

from collections.abc import Callable

from engine.provider import Provider
from engine.providers.docker import DockerProvider
from engine.providers.random import RandomProvider
from engine.providers.tls import TlsProvider

PROVIDERS: dict[str, Callable[[], Provider]] = {
    "docker": DockerProvider,
    "random": RandomProvider,
    "tls": TlsProvider,
}
