"""Waiting until objects are ready, or gone, and saying what is waited for and why."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.provider import Context, ProviderError
from engine.providers.kubernetes_api import ApiError, Cluster, UnreachableError
from engine.providers.kubernetes_manifest import annotation, label
from engine.providers.kubernetes_ready import FailedError, judge_of, short
from engine.values import Properties, at

TIMEOUT_S = 600
POLL_SECONDS = 0.5
SKIP, TIMEOUT = "pulumi.com/skipAwait", "pulumi.com/timeoutSeconds"
SKIPPING = ("DaemonSet", "Deployment", "Job", "Namespace", "Pod", "StatefulSet")
"""What is not waited for either when it is deleted, as the plugin has it."""


class NotReadyError(Exception):
    """An object that is there and not ready; `live` is what it was last."""

    def __init__(self, live: Properties, reason: str) -> None:
        super().__init__(reason)
        self.live = live


def check_annotations(ctx: Context, manifest: Properties) -> None:
    """Refuse annotations about waiting that say nothing, before anything is made."""
    judge_of(ctx, manifest)
    _timeout(ctx, manifest)


def until_ready(cluster: Cluster, ctx: Context, live: Properties) -> Properties:
    """Wait until an object is ready, return what it is then, or raise `NotReadyError`."""
    judge = judge_of(ctx, live)
    if annotation(live, SKIP) == "true" or judge is None:
        return live
    started = time.monotonic()
    timeout = _timeout(ctx, live)

    def look(found: Properties | None) -> str:
        nonlocal live
        if found is None:
            raise NotReadyError(live, f"{label(live)} was deleted while it was waited for")
        live = found
        try:
            return judge(cluster, live, time.monotonic() - started)
        except FailedError as error:
            raise NotReadyError(live, f"{label(live)} failed: {error}") from error

    if problem := _poll(cluster, ctx, live, timeout, look):
        way_out = f"mend the cause and run `up` again, which goes on waiting; {TIMEOUT} gives it more time"
        raise NotReadyError(live, f"{label(live)} was not ready {problem}; {way_out}")
    return live


def until_gone(cluster: Cluster, ctx: Context, live: Properties) -> None:
    """Wait until an object that is being deleted is gone."""

    def look(found: Properties | None) -> str:
        same = found and found["metadata"]["uid"] == live["metadata"]["uid"]
        return _remains(found) if found and same else ""

    if problem := _poll(cluster, ctx, live, _timeout(ctx, live), look):
        way_out = "see to what holds it, or take its finalizers away, and run the command again"
        raise ProviderError(f"{label(live)} was not gone {problem}; {way_out}")


def _poll(
    cluster: Cluster, ctx: Context, live: Properties, timeout: float, look: Callable[[Properties | None], str]
) -> str:
    """Look at an object until there is nothing to wait for; return why that did not happen."""
    deadline, shown, meta = time.monotonic() + timeout, "", live["metadata"]
    while True:
        try:
            found = cluster.find(live["apiVersion"], live["kind"], meta.get("namespace", ""), meta["name"])
            waiting = look(found)
        except (ApiError, UnreachableError) as error:  # a server may be replaced, and the object is there
            waiting = str(error)
        if not waiting:
            return ""
        if waiting != shown:
            ctx.log(waiting)
            shown = waiting
        if time.monotonic() > deadline:
            return f"after {timeout:g} s: {waiting}"
        if cluster.cancelled.wait(POLL_SECONDS):
            return f"when the wait was cancelled: {waiting}"


def _timeout(ctx: Context, live: Properties) -> float:
    given = annotation(live, TIMEOUT) or str(TIMEOUT_S)
    if not given.isdigit():
        raise ctx.error(f"annotation {TIMEOUT} must be a whole number of seconds, not {given!r}")
    return int(given)


def _remains(live: Properties) -> str:
    """What keeps an object from being gone."""
    conditions = at(live, ["status", "conditions"]) or [] if live["kind"] == "Namespace" else []
    told = [one["message"] for one in conditions if one.get("status") == "True" and one.get("message")]
    held = sorted({*live["metadata"].get("finalizers", ())} - {"foregroundDeletion"})
    told += [f"held by finalizers {', '.join(held)}"] if held else []
    return short("; ".join(told)) or "waiting until it and what it owns are gone"
