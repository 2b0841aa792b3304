"""A stack's containers on this machine: their state and health, and their logs."""

import os
import subprocess

import docker
from docker.errors import DockerException
from docker.models.containers import Container
from rich.console import Console
from rich.table import Table

from ops.stack import Stack, StackError

WIDTH = 120


def show(stack: Stack) -> None:
    """Print a table of the stack's containers.

    Raises:
        StackError: if there are none, or Docker cannot tell.
    """
    found = find(stack)
    if not found:
        raise StackError(f"stack {stack.name} has no containers: make up STACK={stack.name} brings it up")
    table = Table(box=None)
    for heading in ("container", "state", "health", "restarts", "image"):
        table.add_column(heading, no_wrap=True)
    for container in sorted(found, key=lambda c: c.name or ""):
        state = container.attrs["State"]
        health = state.get("Health", {}).get("Status", "-")
        text = f"exited ({state['ExitCode']})" if state["Status"] == "exited" else state["Status"]
        table.add_row(
            container.name,
            text,
            health,
            str(container.attrs["RestartCount"]),
            container.attrs["Config"]["Image"],
        )
    # Names are for copying: in a narrow window lines wrap rather than lose their ends.
    Console(width=max(Console().width, WIDTH), soft_wrap=True).print(table)


def follow_logs(stack: Stack, service: str, tail: int) -> None:
    """Print the logs of the stack's containers, or of one service, from the last ``tail`` lines on.

    Raises:
        StackError: if there are none, or Docker cannot tell.
    """
    found = find(stack, service)
    if not found:
        raise StackError(
            f"stack {stack.name} has no containers" + (f" of service {service}" if service else "")
        )
    names = sorted(container.name or "" for container in found)
    width = max(map(len, names))
    followers = [
        subprocess.Popen(  # noqa: S602 - names come from Docker, which allows no shell characters in them
            f"docker logs --follow --tail {tail} {name} 2>&1 | sed -u 's/^/{name.ljust(width)} | /'",
            shell=True,
        )
        for name in names
    ]
    for follower in followers:
        follower.wait()


def find(stack: Stack, service: str = "") -> list[Container]:
    """Return the containers of a stack, or of one of its services.

    Raises:
        StackError: if the stack does not run in Docker on this machine, or Docker cannot tell.
    """
    if not stack.on_machine:
        raise StackError(f"stack {stack.name} runs on a cluster, not on this machine: ask kubectl")
    labels = [f"ollamamax.stack={stack.name}"] + ([f"ollamamax.service={service}"] if service else [])
    client = daemon()
    try:
        # One that goes meanwhile is no error.
        return client.containers.list(all=True, filters={"label": labels}, ignore_removed=True)
    except DockerException as error:
        raise StackError(f"Docker does not list the containers: {error}") from error


def daemon() -> docker.DockerClient:
    """Return the Docker daemon of this machine.

    Raises:
        StackError: if none answers.
    """
    try:
        return docker.from_env()
    except DockerException as error:
        where = os.environ.get("DOCKER_HOST", "its usual socket")
        raise StackError(f"no Docker daemon answers at {where}: start it (make setup does)") from error
