"""The console's files in the bucket that CloudFront serves them from.

Files whose names change with their content come first and the page that names them comes last, so that at no
time a page is served without its files. Those of the release before stay: a page that is open goes on finding
its own.
"""

import contextlib
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

import botocore.session
import docker
from botocore.exceptions import BotoCoreError, ClientError
from docker.errors import DockerException

from engine.provider import ProviderError
from engine.providers.docker_image import builder
from ops.stack import Stack, StackError

ASSETS = "assets/"
"""Where the files are whose names change with their content."""
LAST = ("index.html", "sw.js")
"""What names the others, in this order: the service worker fetches the page."""
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
RELEASES = "releases.json"
KEPT = 2
"""How many releases the bucket has the assets of."""


def build(root: Path) -> dict[str, bytes]:
    """Build the console of the checkout at ``root``, and return its files by their paths.

    Those that were compressed beforehand are left out: CloudFront compresses by itself.

    Raises:
        StackError: if it cannot be built; with what Docker said.
    """
    context = str(root / "docker" / "console")
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            [*builder(), "--quiet", context],
            env={**os.environ, "DOCKER_BUILDKIT": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        with contextlib.closing(docker.from_env()) as client:
            container = client.containers.create(done.stdout.strip(), command="none")
            try:
                content, _ = container.get_archive("/")
                archive = io.BytesIO(b"".join(content))
            finally:
                container.remove()
    except subprocess.CalledProcessError as error:
        raise StackError(f"the console could not be built: {error.stderr.strip()[-2000:]}") from error
    except (DockerException, ProviderError) as error:
        raise StackError(f"the console could not be built: {error}") from error
    with tarfile.open(fileobj=archive) as files:
        return {
            file.name.removeprefix("/"): opened.read()
            for file in files
            if PurePath(file.name).suffix in TYPES and (opened := files.extractfile(file))
        }


def bring(stack: Stack, say: Callable[[str], None]) -> None:
    """Put the console of a stack's program where clients have it from, if that is a bucket.

    Raises:
        StackError: if it cannot be built, or put there.
    """
    bucket = stack.outputs(show_secrets=False).get("consoleBucket")
    if bucket:
        say("building the console")
        say(publish(build(stack.root), bucket, client(stack.region)))


def publish(files: Mapping[str, bytes], bucket: str, client: Any) -> str:  # noqa: ANN401 - botocore makes it
    """Put the files into the bucket unless they are there, and return in words what was done.

    Raises:
        StackError: if AWS refuses it, or cannot be reached.
    """
    try:
        return _publish(files, bucket, client)
    except (BotoCoreError, ClientError) as error:
        raise StackError(
            f"the console's files could not be put into the bucket {bucket}: {error}; "
            "the platform itself is up: run the same command again"
        ) from error


def client(region: str) -> Any:  # noqa: ANN401 - botocore makes it
    """Return a client of S3."""
    return botocore.session.get_session().create_client("s3", region_name=region)


def _publish(files: Mapping[str, bytes], bucket: str, client: Any) -> str:  # noqa: ANN401
    digest = hashlib.sha256(b"".join(name.encode() + files[name] for name in sorted(files))).hexdigest()
    releases = _releases(bucket, client)
    if releases and releases[0]["digest"] == digest:
        return f"the console's files are in {bucket}"
    assets = sorted(name for name in files if name.startswith(ASSETS))
    for name in (*assets, *sorted(files.keys() - {*assets, *LAST}), *LAST):
        client.put_object(Bucket=bucket, Key=name, Body=files[name], ContentType=TYPES[PurePath(name).suffix])
    before = [one for one in releases if one["digest"] != digest]
    releases = [{"digest": digest, "assets": assets}, *before][:KEPT]
    client.put_object(
        Bucket=bucket, Key=RELEASES, Body=json.dumps(releases).encode(), ContentType="application/json"
    )
    kept = {name for one in releases for name in one["assets"]}
    found = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=ASSETS)
    gone = [one["Key"] for page in found for one in page.get("Contents", ()) if one["Key"] not in kept]
    for name in gone:
        client.delete_object(Bucket=bucket, Key=name)
    return f"{len(files)} files of the console put into {bucket}, {len(gone)} of older releases removed"


def _releases(bucket: str, client: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return the releases whose assets are in the bucket, the newest first."""
    try:
        found: list[dict[str, Any]] = json.load(client.get_object(Bucket=bucket, Key=RELEASES)["Body"])
    except client.exceptions.NoSuchKey:
        return []
    return found
