"""``make restore``: a stack as an archive has it, or nothing of it."""

import contextlib
import copy
import json
import os
import tarfile
import tomllib
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from posixpath import normpath
from typing import Any

from docker.errors import DockerException

from ops import archive, containers, volumes
from ops.archive import Archive, Manifest
from ops.backup import BLOBS, DUMP, SETTINGS, STATE, VOLUME, Say, blobs_of, check_place, named_volumes
from ops.stack import Stack, StackError

OF_DATABASE = "postgres-1-data"
"""The database's volume, as the program calls it."""
USER = 10001
"""Whom the services run as; the database's server wants its folder to itself."""
WAITING = "restore.dump"
"""Where a server that finds its volume empty looks for what to load: ``docker/postgres/entrypoint``."""


def restore(stack: Stack, file: Path, say: Say, seen: archive.Seen) -> Manifest:
    """Bring up a stack, of which nothing may be there, with what an archive has; return what that is.

    Raises:
        StackError: if it cannot be; then nothing is left of what was begun.
    """
    check_place(stack)
    say(f"comparing {file} with its digests")
    with archive.reading(file, seen) as found:
        manifest = found.manifest
        _check(stack, manifest)
        stack.prepare()
        state = json.loads(found.text(STATE))
        kept = [OF_DATABASE, *manifest.volumes]
        outputs = named_volumes(state["deployment"]["resources"])
        state["deployment"]["resources"] = list(_lasting(state["deployment"]["resources"], kept))
        state["deployment"].pop("pending_operations", None)
        say("state and secrets")
        settings = found.text(SETTINGS)
        stack.load(state, settings)
        if _plain(settings) != _plain(stack.settings_file.read_text()):
            say(f"stacks/{stack.settings_file.name} is not as it was then: what it says now holds")
        with _taken_back_where_it_fails(stack, say):
            for name in kept:
                say(f"volume {name}")
                _make(outputs[name])
                with volumes.filling(outputs[name]["name"]) as tar:
                    _add_database(tar, found) if name == OF_DATABASE else _add_models(tar, found, name)
            say("the platform")
            stack.up()
    return manifest


def _check(stack: Stack, manifest: Manifest) -> None:
    """Raise StackError if the archive cannot become this stack, here and now."""
    if manifest.stack != stack.name:
        raise StackError(f"the archive is of stack {manifest.stack}: make restore STACK={manifest.stack}")
    here = tomllib.loads((stack.root / "pyproject.toml").read_text())["project"]["version"]
    if numbers(manifest.version) > numbers(here):
        raise StackError(
            f"the archive is of version {manifest.version}, and this is {here}: check out {manifest.version}"
        )
    if "PULUMI_CONFIG_PASSPHRASE" not in os.environ and not (stack.state / "passphrase").exists():
        raise StackError(
            "the archive's secrets are encrypted with the passphrase of the machine that it is from: put it "
            f"into {stack.state / 'passphrase'}, or into PULUMI_CONFIG_PASSPHRASE"
        )
    if left := _left(stack):
        raise StackError(
            f"stack {stack.name} is not empty ({left}), and a restore overwrites nothing: make backup STACK="
            f"{stack.name} if that is worth keeping, then make down STACK={stack.name} DATA=1"
        )


def _left(stack: Stack) -> str:
    """Return what is there of a stack, in words; empty where nothing is."""
    daemon, label = containers.daemon(), {"label": f"ollamamax.stack={stack.name}"}
    try:
        there = {
            "containers": len(containers.find(stack)),
            "volumes": len(daemon.volumes.list(filters=label)),
            "networks": len(daemon.networks.list(filters=label)),
        }
    except DockerException as error:
        raise StackError(f"Docker does not list what the stack has: {error}") from error
    resources = stack.exported()["deployment"].get("resources") or [] if stack.exists else []
    there["resources in its state"] = sum(bool(one["custom"]) for one in resources)
    return ", ".join(f"{what}: {count}" for what, count in there.items() if count)


def _lasting(resources: Iterable[dict[str, Any]], kept: Container[str]) -> Iterator[dict[str, Any]]:
    """Yield the resources of a state that a restore brings back: all but what Docker has to make anew."""
    for one in resources:
        name = one["urn"].rpartition("::")[2]
        if not one["type"].startswith("docker:") or (one["type"] == VOLUME and name in kept):
            yield one


@contextlib.contextmanager
def _taken_back_where_it_fails(stack: Stack, say: Say) -> Iterator[None]:
    try:
        yield
    except BaseException:
        say("it failed: taking back what was restored so far")
        stack.destroy(data=True)
        raise


def _make(volume: dict[str, Any]) -> None:
    labels = {one["label"]: one["value"] for one in volume.get("labels", [])}
    try:
        containers.daemon().volumes.create(volume["name"], labels=labels)
    except DockerException as error:
        raise StackError(f"volume {volume['name']} could not be created: {error}") from error


def _add_database(tar: tarfile.TarFile, found: Archive) -> None:
    """Put the dump where the server finds it."""
    folder, dump = tarfile.TarInfo("."), _renamed(found.tar.getmember(DUMP), WAITING)
    folder.type, folder.mode = tarfile.DIRTYPE, 0o700
    folder.uid = dump.uid = USER
    tar.addfile(folder)
    tar.addfile(dump, found.open(DUMP))


def _add_models(tar: tarfile.TarFile, found: Archive, name: str) -> None:
    """Put back a volume of models, and the blobs that these name."""
    wanted: dict[str, None] = {}
    for entry in found.tar.getmembers():
        if entry.name != name and not entry.name.startswith(f"{name}/"):
            continue
        if entry.name.startswith(f"{name}/manifests/") and entry.isfile():
            wanted |= dict.fromkeys(blobs_of(found.open(entry.name).read()))
        inside = _renamed(entry, normpath(f"./{entry.name.removeprefix(name)}"))
        tar.addfile(inside, found.open(entry.name) if entry.isfile() else None)
    for blob in wanted:
        tar.addfile(found.tar.getmember(f"{BLOBS}/{blob}"), found.open(f"{BLOBS}/{blob}"))


def _plain(settings: str) -> list[str]:
    """Return the lines of a stack file, without the salt that an engine writes into it."""
    return [line for line in settings.splitlines() if line and not line.startswith("encryptionsalt:")]


def _renamed(entry: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    """Return an entry under another name."""
    other = copy.copy(entry)
    other.name = name
    return other


def numbers(version: str) -> tuple[int, ...]:
    """Return a version as it compares with others."""
    return tuple(map(int, version.split(".")))
