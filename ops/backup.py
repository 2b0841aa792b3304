"""``make backup``: a stack's database, models, and state with its encrypted secrets, in one archive."""

import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from posixpath import normpath
from typing import Any, BinaryIO

from docker.models.containers import Container

from ops import archive, containers, volumes
from ops.private import PRIVATE
from ops.stack import Stack, StackError

DATABASE = "ollamamax"
DUMP, STATE, SETTINGS = "database.dump", "state.json", "settings.yaml"
"""Files of the archive, beside a folder for each volume, and ``BLOBS``."""
BLOBS = "blobs"
"""What models are made of. A blob is named after its digest, and so is the same in every volume."""
VOLUME = "docker:index/volume:Volume"
OF_MODELS = "-models"
"""How the names of the workers' volumes end."""
Say = Callable[[str], None]


def backup(stack: Stack, file: Path | None, say: Say, seen: archive.Seen) -> Path:
    """Write the archive of a stack that is up, and return its file.

    Raises:
        StackError: if the stack is not up on this machine, or the archive cannot be written.
    """
    check_place(stack)
    database = database_of(stack)
    state = stack.exported()
    resources = state["deployment"]["resources"]
    taken_at = datetime.now(UTC)
    file = file or stack.root / "backups" / f"ollamamax-{stack.name}-{taken_at:%Y%m%dT%H%M%SZ}.tar"
    postgresql, schema = _facts(database)
    with archive.writing(file, seen) as draft:
        say("the database")
        _add_dump(draft, database, file.parent)
        draft.add_text(STATE, json.dumps(state))
        draft.add_text(SETTINGS, stack.config_file.read_text())
        kept = model_volumes(resources)
        for name, volume in kept.items():
            say(f"the models of {name.removesuffix(OF_MODELS)}")
            _add_models(draft, name, volume["name"])
        manifest = archive.Manifest(
            stack=stack.name,
            version=version_in(resources),
            taken_at=taken_at,
            postgresql=postgresql,
            schema_version=schema,
            images={
                one.labels["ollamamax.service"]: one.attrs["Config"]["Image"]
                for one in containers.find(stack)
            },
            volumes=list(kept),
            digests=draft.digests,
        )
        draft.add_text(archive.MANIFEST, manifest.model_dump_json(indent=2))
    return file


def check_place(stack: Stack) -> None:
    """Raise StackError if the stack's data is not on this machine."""
    stack.check_name()
    if not stack.on_machine:
        where = "AWS" if stack.in_cloud else "a cluster"
        raise StackError(
            f"stack {stack.name} keeps its data on {where}, not here: docs/backup.md says how that is "
            "backed up"
        )


def database_of(stack: Stack) -> Container:
    """Return the container of the stack's database.

    Raises:
        StackError: if it does not run.
    """
    for one in containers.find(stack, "postgres"):
        if one.name == f"ollamamax-{stack.name}-postgres-1" and one.status == "running":
            return one
    raise StackError(f"the database of stack {stack.name} is not up: make up STACK={stack.name}")


def model_volumes(resources: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the volumes with models among the resources of a state: name in the program → outputs."""
    found = sorted(named_volumes(resources).items())
    return {name: outputs for name, outputs in found if name.endswith(OF_MODELS)}


def named_volumes(resources: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the volumes among the resources of a state: name in the program → outputs."""
    return {one["urn"].rpartition("::")[2]: one["outputs"] for one in resources if one["type"] == VOLUME}


def version_in(resources: Iterable[dict[str, Any]]) -> str:
    """Return the version of the platform that a state is of."""
    for one in resources:
        if one["type"] == "pulumi:pulumi:Stack" and (version := one.get("outputs", {}).get("version")):
            return str(version)
    raise StackError("the stack's state does not say of which version it is: make up, then make backup again")


def _facts(database: Container) -> tuple[str, int]:
    """Return the versions of the server and of the schema."""
    question = "SELECT current_setting('server_version'), version FROM schema_version"
    command = [
        "psql",
        "--username=postgres",
        "--no-align",
        "--tuples-only",
        f"--command={question}",
        DATABASE,
    ]
    with tempfile.TemporaryFile() as out:
        _ask(database, command, out)
        out.seek(0)
        server, _, schema = out.read().decode().strip().rpartition("|")
    if not schema.isdecimal():
        raise StackError("the database has no schema yet: make up, then make backup again")
    return server, int(schema)


def _add_dump(draft: archive.Draft, database: Container, beside: Path) -> None:
    """Add a dump of the database as it is at one moment."""
    with tempfile.TemporaryFile(dir=beside) as dump:
        _ask(database, ["pg_dump", "--username=postgres", "--format=custom", DATABASE], dump)
        entry = tarfile.TarInfo(DUMP)
        entry.size, entry.mode = dump.tell(), PRIVATE
        dump.seek(0)
        draft.add(entry, dump)


def _ask(database: Container, command: list[str], out: BinaryIO) -> None:
    """Run one of PostgreSQL's own programs beside the server."""
    done = subprocess.run(  # noqa: S603 - our own words
        ["docker", "exec", str(database.id), *command],  # noqa: S607 - Docker's own client, wherever it is
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StackError(f"{command[0]} failed in {database.name}: {' '.join(done.stderr.split())}")
    out.seek(0, io.SEEK_END)


def _add_models(draft: archive.Draft, name: str, volume: str) -> None:
    """Add a volume of models; blobs that the archive has already, or that no model has, are left out."""
    wanted: dict[str, None] = {}
    with volumes.content_of(volume, f"--exclude=./{BLOBS}/*", ".") as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            data = content.read() if content else None
            if data and entry.name.startswith("./manifests/"):
                wanted |= dict.fromkeys(blobs_of(data))
            entry.name = normpath(f"{name}/{entry.name}")
            draft.add(entry, None if data is None else io.BytesIO(data))
    missing = [f"{BLOBS}/{blob}" for blob in wanted if f"{BLOBS}/{blob}" not in draft.digests]
    if not missing:
        return
    with volumes.content_of(volume, *missing) as tar:
        for entry in tar:
            found = draft.add(entry, tar.extractfile(entry))
            if entry.name != f"{BLOBS}/sha256-{found}":
                raise StackError(f"{entry.name} in volume {volume} is damaged: pull its model again")


def blobs_of(manifest: bytes) -> list[str]:
    """Return the file names of the blobs that a model's manifest names.

    Raises:
        StackError: if it is none.
    """
    try:
        document = json.loads(manifest)
        digests = [one["digest"] for one in (document["config"], *document["layers"])]
        return [str(digest).replace(":", "-") for digest in digests]
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(f"a model's manifest is damaged ({error!r}): pull the model again") from error
