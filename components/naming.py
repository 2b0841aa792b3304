"""Names, addresses and content hashes: pure functions."""

import hashlib
from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path

from docker.utils.build import exclude_paths

HASH_LENGTH = 12
IMAGES = (
    *("alertmanager", "autoscaler", "console", "edge", "exporters", "gateway"),
    *("load", "ollama", "ollama-cuda", "pgbouncer", "prometheus"),
)
"""Images that a cluster needs of those that this project builds."""
FIXED_ADDRESSES = {"postgres": 2, "gateway-canary": 3, "gateway": 11}
"""Service with fixed addresses → offset of its first replica in the subnet. 1 is the bridge."""


def container_name(stack: str, service: str, index: int) -> str:
    """Return the name of replica ``index`` (from 1) of a service."""
    return f"ollamamax-{stack}-{service}-{index}"


def repository(image: str) -> str:
    """Return the name of an image that this project builds, without its tag."""
    return f"ollamamax-{image}"


def image_name(image: str, tag: str) -> str:
    """Return the name of an image that this project builds."""
    return f"{repository(image)}:{tag}"


def fixed_address(subnet: IPv4Network, service: str, index: int) -> str:
    """Return the address of replica ``index`` (from 1) of a service that has fixed ones."""
    return str(subnet[FIXED_ADDRESSES[service] + index - 1])


def dynamic_range(subnet: IPv4Network) -> IPv4Network:
    """Return the upper half of the subnet, from which Docker takes addresses."""
    return list(subnet.subnets())[1]


def duration(seconds: int) -> str:
    """Return whole seconds as Docker reads them back: ``5s``, ``1m0s``, ``1h0m0s``."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def digest(files: Mapping[str, str]) -> str:
    """Return a short hash of names and contents."""
    whole = hashlib.sha256()
    for name, content in sorted(files.items()):
        whole.update(f"{name} {hashlib.sha256(content.encode()).hexdigest()}\n".encode())
    return whole.hexdigest()[:HASH_LENGTH]


def content_hash(folder: Path, *inputs: str) -> str:
    """Return a short hash of what a build from ``folder`` depends on.

    Covers the names, contents and executable bits of the files that the folder's ``.dockerignore``
    lets through, and ``inputs`` (build arguments). File times and owners do not count.
    """
    ignore = folder / ".dockerignore"
    lines = [line.strip() for line in ignore.read_text().splitlines()] if ignore.exists() else []
    patterns = [line for line in lines if line and not line.startswith("#")]
    digest = hashlib.sha256()
    for name in sorted(exclude_paths(str(folder), patterns)):
        path = folder / name
        if path.is_file():
            executable = "x" if path.stat().st_mode & 0o100 else "-"
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{executable} {content} {name}\n".encode())
    for value in inputs:
        digest.update(f"= {value}\n".encode())
    return digest.hexdigest()[:HASH_LENGTH]
