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
from collections.abc import Iterator
from pathlib import Path

import pulumi_docker
from docker.utils.build import Pattern

from engine.provider import CheckError, Context, Diff, ProviderError
from engine.providers.docker_api import DockerResource
from engine.providers.schema import check
from engine.values import UNKNOWN, Properties, Secret, has_unknown

ERROR_LINES = 15
SPECIAL = {stat.S_ISUID: "u", stat.S_ISGID: "g", stat.S_ISVTX: "t"}


class Image(DockerResource):
    """An image, built again when a file of its context or an input changes; pushing needs the CLI."""

    args, sdk, auto_named = pulumi_docker.ImageArgs, pulumi_docker.Image, False
    unsupported = frozenset({"registry", "build.cacheFrom"})

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        """Fill in the build's paths and platform, and the digest of everything that goes into it."""
        check(ctx, self.fields, news, self.unsupported, {})
        if news.get("skipPush") is not True:
            raise CheckError([ctx.unsupported("skipPush false (pushing)")])
        if news.get("buildOnPreview"):
            raise CheckError([ctx.unsupported("buildOnPreview")])
        build = {key: value for key, value in (news.get("build") or {}).items() if value is not None}
        context = build.setdefault("context", ".")
        dockerfile = build.setdefault("dockerfile", os.path.normpath(os.path.join(context, "Dockerfile")))
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
        build.setdefault("platform", f"linux/{machine}")
        if UNKNOWN not in (context, dockerfile):
            for key, path in (("context", Path(context)), ("dockerfile", Path(dockerfile))):
                if not path.exists():
                    raise CheckError(
                        [(f"build.{key}", f'{ctx.type} "{ctx.name}": {key} {path} does not exist')]
                    )
            build["contextDigest"] = context_digest(Path(context), Path(dockerfile))
        known = {key: value for key, value in news.items() if value is not None}
        return {**known, "build": build, "buildOnPreview": False}

    def diff(self, ctx: Context, olds: Properties, news: Properties) -> Diff:
        """Compare the inputs of the last build, kept in the state, with new ones."""
        before = olds.get("__inputs", {})
        kinds = {
            key: "update" if key in before and key in news else "add" if key in news else "delete"
            for key in sorted(before.keys() | news.keys())
            if before.get(key) != news.get(key)
        }
        return Diff(kinds)

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Build the image."""
        return inputs["imageName"], self._build(ctx, inputs)

    def update(self, ctx: Context, id_: str, olds: Properties, news: Properties) -> Properties:
        """Build it again."""
        return self._build(ctx, news)

    def inspect(self, id_: str) -> Properties:
        """See the base."""
        found: Properties = self.api().inspect_image(id_)
        return {**found, "Id": id_}

    def describe(self, found: Properties, inputs: Properties, olds: Properties) -> Properties:
        """The state stays as it is, while the image is there."""
        return {**olds, "__inputs": Secret(olds.get("__inputs", inputs))}

    def _build(self, ctx: Context, inputs: Properties) -> Properties:
        image, build = inputs["imageName"], inputs["build"]
        self.api()  # one message about a missing daemon, before a client of it is looked for
        if has_unknown(inputs):
            raise ProviderError(f"image {image}: not all inputs are known")
        command, legacy = (
            [*builder(), "--file", build["dockerfile"], "--tag", image],
            build.get("builderVersion"),
        )
        for flag, value in (
            ("--platform", build["platform"]),
            ("--target", build.get("target")),
            ("--network", build.get("network")),
        ):
            command += [flag, value] if value else []
        for host in build.get("addHosts", []):
            command += ["--add-host", host]
        args = build.get("args", {})
        for name in args:  # the values go through the environment, where no other user sees them
            command += ["--build-arg", name]
        environment = {
            **os.environ,
            **args,
            "DOCKER_BUILDKIT": "0" if legacy == "BuilderV1" else "1",
            "BUILDKIT_PROGRESS": "plain",
        }
        environment |= {"DOCKER_HOST": self.api.host} if self.api.host else {}
        ctx.log(f"building {image}")
        lines: collections.deque[str] = collections.deque(maxlen=500)
        with subprocess.Popen(
            [*command, build["context"]],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            for line in process.stdout or ():
                lines.append(line.rstrip())
                if line.strip():
                    ctx.log(line.rstrip())
                if self.api.cancelled.is_set():
                    process.terminate()
        if process.returncode:
            raise ProviderError(
                f"image {image} could not be built from {build['dockerfile']}: {_failure(list(lines))}"
            )
        return {
            "__inputs": Secret(inputs),
            "baseImageName": image,
            "context": build["context"],
            "dockerfile": Path(os.path.relpath(build["dockerfile"], build["context"])).as_posix(),
            "imageName": image,
            "platform": build["platform"],
            "registryServer": "",
            "repoDigest": self.api().inspect_image(image)["Id"],
        }


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
    number = next(
        (line.split()[0] for line in lines if step and line.startswith("#") and line.endswith(step)), None
    )
    words = [line for line in lines if line.startswith(f"{number} ")] if number else lines
    return "\n".join([f"step {step} failed:" if step else "the build failed:", *words[-ERROR_LINES:]])


def context_digest(context: Path, dockerfile: Path) -> str:
    """Digest of names, modes and contents of all that a build sees, as the plugin makes it."""
    total = hashlib.sha256()

    def add(path: Path, name: str, mode: str) -> None:
        content = path.read_bytes() if mode.startswith(("-", *"ugt")) else b""
        if mode.startswith("L"):
            content = (
                os.path.realpath(path).encode()
                if path.is_absolute()
                else os.path.relpath(os.path.realpath(path)).encode()
            )
        total.update(name.encode() + mode.encode() + hashlib.sha256(content).digest() + b"\0")

    add(dockerfile, "Dockerfile", "----------")
    patterns = [pattern for line in _ignored(context, dockerfile) if (pattern := Pattern(line)).dirs]
    for name in sorted(_sent(context, patterns), key=lambda found: found.split("/")):
        add(context / name, name, _go_mode((context / name).lstat().st_mode))
    return total.hexdigest()


def _sent(context: Path, patterns: list[Pattern], below: str = "") -> Iterator[str]:
    """Names of what the builder gets: the last pattern that matches a name or a folder above it decides."""
    kept_again = any(pattern.exclusion for pattern in patterns)
    for entry in os.scandir(context / below):
        name = f"{below}{entry.name}"
        above = ["/".join(name.split("/")[:depth]) for depth in range(1, name.count("/") + 2)]
        verdicts = [pattern.exclusion for pattern in patterns if any(map(pattern.match, above))]
        sent = not verdicts or verdicts[-1]
        if entry.is_dir(follow_symlinks=False):
            yield from _sent(context, patterns, f"{name}/") if sent or kept_again else ()
        elif sent:
            yield name


def _ignored(context: Path, dockerfile: Path) -> list[str]:
    for path in (Path(f"{dockerfile}.dockerignore"), context / ".dockerignore"):
        if path.exists():
            lines = (line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines())
            return [line for line in lines if line and not line.startswith("#")]
    return []


def _go_mode(mode: int) -> str:
    """A file's mode as Go's `FileMode.String` writes it."""
    special = "".join(letter for bit, letter in SPECIAL.items() if mode & bit)
    kind = "L" if stat.S_ISLNK(mode) else "p" if stat.S_ISFIFO(mode) else "S" if stat.S_ISSOCK(mode) else ""
    return (kind + special or "-") + stat.filemode(mode & 0o777)[1:]
