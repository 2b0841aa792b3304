# ruff: noqa: PTH118, S603 - paths join as Go's do; docker is the program that is run
"""Images built from a Dockerfile, as pulumi-docker's own resource describes them."""

from __future__ import annotations

import collections
import functools
import hashlib
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import ClassVar

import docker.errors
from docker.utils.build import PatternMatcher

from engine.provider import NEEDS_CLI, Context, Found, ProviderError, Resource
from engine.providers.docker import Connection
from engine.values import UNKNOWN, Properties, Secret

ERROR_LINES = 15


class Image(Resource):
    """An image, built again when a file of its context or an input changes; pushing needs the CLI."""

    inputs: ClassVar = {
        "build": {"args": dict, "context": str, "dockerfile": str, "platform": str, "target": str},
        "buildOnPreview": bool, "imageName": str, "skipPush": bool,
    }  # fmt: skip
    in_place = frozenset(inputs)

    def __init__(self, api: Connection) -> None:
        self.api = api

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        """Fill in the build's paths and platform, and the digest of everything that goes into it."""
        known = super().check(ctx, olds, news, seed)
        if not known.get("skipPush") or known.get("buildOnPreview"):
            raise ctx.error(NEEDS_CLI.format("skipPush false, or buildOnPreview,"))
        build = {key: value for key, value in known.get("build", {}).items() if value is not None}
        context = build.setdefault("context", ".")
        dockerfile = build.setdefault("dockerfile", os.path.normpath(os.path.join(context, "Dockerfile")))
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
        build.setdefault("platform", f"linux/{machine}")
        if UNKNOWN not in (context, dockerfile):
            for key in ("context", "dockerfile"):
                if not Path(build[key]).exists():
                    raise ctx.error(f"{key} {build[key]} does not exist")
            build["contextDigest"] = context_digest(Path(context), Path(dockerfile))
        return {**known, "build": build, "buildOnPreview": False}

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Build the image."""
        return inputs["imageName"], self.update(ctx, "", {}, inputs)

    def read(self, ctx: Context, id_: str, inputs: Properties, olds: Properties) -> Found:
        """The state stays as it is, while the image is there."""
        try:
            self.api().inspect_image(id_)
        except docker.errors.NotFound:
            return None
        return id_, olds

    def update(self, ctx: Context, id_: str, olds: Properties, news: Properties) -> Properties:
        """Build it, or again."""
        image, build, args = news["imageName"], news["build"], news["build"].get("args", {})
        self.api()  # one message about a missing daemon, before a client of it is looked for
        command = [*builder(), "--file", build["dockerfile"], "--tag", image, "--platform", build["platform"]]
        command += ["--target", build["target"]] if "target" in build else []
        for name in args:  # the values go through the environment, where no other user sees them
            command += ["--build-arg", name]
        environment = {**os.environ, **args, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
        environment |= {"DOCKER_HOST": self.api.host} if self.api.host else {}
        ctx.log(f"building {image}")
        lines: collections.deque[str] = collections.deque(maxlen=500)
        with subprocess.Popen(
            [*command, build["context"]], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True,
        ) as process:  # fmt: skip
            for line in process.stdout or ():
                lines.append(line.rstrip())
                if line.strip():
                    ctx.log(line.rstrip())
                if self.api.cancelled.is_set():
                    process.terminate()
        if process.returncode:
            why = _failure(list(lines))
            raise ProviderError(f"image {image} could not be built from {build['dockerfile']}: {why}")
        return {
            "__inputs": Secret(news), "baseImageName": image, "context": build["context"],
            "dockerfile": Path(os.path.relpath(build["dockerfile"], build["context"])).as_posix(),
            "imageName": image, "platform": build["platform"], "registryServer": "",
            "repoDigest": self.api().inspect_image(image)["Id"],
        }  # fmt: skip


@functools.cache
def builder() -> tuple[str, ...]:
    """The start of a build command of the first docker client on the PATH that can use BuildKit."""
    for folder in os.get_exec_path():
        program = shutil.which("docker", path=folder)
        if not program:
            continue
        if subprocess.run([program, "buildx", "version"], capture_output=True, check=False).returncode == 0:
            return program, "buildx", "build", "--load"
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        major = re.search(r"version (\d+)\.", told)
        if major and int(major[1]) < 23:  # later clients leave BuildKit to the plugin that this one lacks
            return program, "build"
    raise ProviderError("no docker client on the PATH can use BuildKit: install Docker's buildx plugin")


def _failure(lines: list[str]) -> str:
    """The step that failed and its last words."""
    step = next((found[1] for line in reversed(lines) if (found := re.match(r" > (.+?):?$", line))), "")
    ends = (line.split()[0] for line in lines if step and line.startswith("#") and line.endswith(step))
    number = next(ends, None)
    words = [line for line in lines if line.startswith(f"{number} ")] if number else lines
    return "\n".join([f"step {step} failed:" if step else "the build failed:", *words[-ERROR_LINES:]])


def context_digest(context: Path, dockerfile: Path) -> str:
    """Digest of names, modes and contents of all that a build sees, as the plugin makes it."""
    total = hashlib.sha256()

    def add(path: Path, name: str, mode: str) -> None:
        if mode.startswith("L"):
            target = os.path.realpath(path)
            content = (target if path.is_absolute() else os.path.relpath(target)).encode()
        else:
            content = path.read_bytes()
        total.update(name.encode() + mode.encode() + hashlib.sha256(content).digest() + b"\0")

    add(dockerfile, "Dockerfile", "----------")
    sent = PatternMatcher(_ignored(context, dockerfile))
    sent.patterns.pop()  # the library's own, which sends .dockerignore whatever it says
    for path in sorted(context.rglob("*"), key=lambda found: found.parts):
        name, mode = path.relative_to(context).as_posix(), path.lstat().st_mode
        if not stat.S_ISDIR(mode) and not sent.matches(name):  # type: ignore[arg-type]  # it takes text
            add(path, name, ("L" if stat.S_ISLNK(mode) else "-") + stat.filemode(mode & 0o777)[1:])
    return total.hexdigest()


def _ignored(context: Path, dockerfile: Path) -> list[str]:
    for path in (Path(f"{dockerfile}.dockerignore"), context / ".dockerignore"):
        if path.exists():
            lines = (line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines())
            return [line for line in lines if line and not line.startswith("#")]
    return []
