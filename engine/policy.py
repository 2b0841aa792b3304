"""Policy packs: programs that judge resources before they are touched, over `pulumirpc.Analyzer`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pulumi.runtime.proto import analyzer_pb2

from engine.display import Shown
from engine.errors import EngineError
from engine.policy_pack import About, Pack
from engine.state import STACK_TYPE, Resource
from engine.values import Properties, to_wire, walk

JUDGES = 4
"""How many resources are judged at once; the packs are one process each."""


def pack_paths(packs: Sequence[Path], configs: Sequence[Path]) -> tuple[tuple[Path, Path | None], ...]:
    """Return the packs that `--policy-pack` names, each with its `--policy-pack-config`."""
    if configs and len(configs) != len(packs):
        raise EngineError(
            "--policy-pack-config: give it for every --policy-pack, in the same order, or for none"
        )
    return tuple(zip_longest(packs, configs))


class Policies:
    """The packs of one operation."""

    def __init__(self, paths: Sequence[tuple[Path, Path | None]], about: About, shown: Shown) -> None:
        self._about, self._shown, self._packs = about, shown, list[Pack]()
        self._judges, self._judged = ThreadPoolExecutor(JUDGES), list[Future[list[str]]]()
        try:
            for folder, config in paths:
                self._packs.append(Pack(folder, config, about, shown))
        except EngineError:
            self.stop()
            raise

    def analyze(self, resource: Resource, provider: Resource | None) -> None:
        """Let the packs judge what a resource is about to become; raise when that must not happen.

        A preview goes on meanwhile: what they find is told at its end.
        """
        if self._packs:
            request = analyzer_pb2.AnalyzeRequest(**_described(resource, resource.inputs, provider))
            judged = self._judges.submit(self._judge, request, resource.urn)
            if self._about.preview:
                self._judged.append(judged)
            elif refused := judged.result():
                raise EngineError(f"forbidden by mandatory policy {', '.join(refused)}; see Policies")

    def _judge(self, request: analyzer_pb2.AnalyzeRequest, urn: str) -> list[str]:
        """Return the mandatory policies that a resource breaks."""
        found = [one for pack in self._packs for one in pack.judge(request, lambda _: urn)]
        return sorted({one.policy for one in found if not one.advisory})

    def analyze_stack(self, found: Sequence[tuple[Resource, Resource | None]]) -> None:
        """Let the packs judge the whole stack, resources with their providers, as it is at the end."""
        for judged in self._judged:
            judged.result()
        if self._packs:
            needs, request = analyzer_pb2.AnalyzerPropertyDependencies, analyzer_pb2.AnalyzeStackRequest()
            for one, provider in found:
                by_property = {
                    key: needs(urns=urns) for key, urns in one.property_dependencies.items() if urns
                }
                told = {**_described(one, one.outputs, provider), "propertyDependencies": by_property}
                request.resources.add(parent=one.parent, dependencies=one.dependencies, **told)
            urns = {one.urn for one, _ in found}
            stack = next(one.urn for one, _ in found if one.type == STACK_TYPE)
            for pack in self._packs:
                pack.judge(request, lambda urn: urn if urn in urns else stack)

    @property
    def broken(self) -> bool:
        """Whether a mandatory policy was violated."""
        wait(self._judged)  # where the program failed, nobody has yet
        return any(not one.advisory for pack in self._packs for one in pack.violations)

    def lines(self) -> Iterator[str]:
        """Yield the section `Policies:` of an operation's display."""
        if self._packs:
            yield "Policies:"
        for pack in self._packs:
            violations = sorted(pack.violations)
            broken = pack.failed or not all(one.advisory for one in violations)
            yield f"    {'❌' if broken else '⚠️' if violations else '✅'} {pack.title} (local: {pack.folder})"
            for one in violations:
                yield f"        - {one.title}"
                yield from (f"          {line}" for line in one.message.splitlines())
        if self._packs:
            yield ""

    def diagnostics(self) -> Iterator[dict[str, str]]:
        """Yield the violations as diagnostics of a JSON document."""
        for pack in self._packs:
            for one in sorted(pack.violations):
                severity = "warning" if one.advisory else "error"
                text = self._shown.masked(f"{severity}: {pack.title} {one.title}\n{one.message}\n")
                yield {"urn": one.urn, "message": text, "severity": severity}

    def stop(self) -> None:
        """End the packs."""
        self._judges.shutdown(wait=False, cancel_futures=True)
        for pack in self._packs:
            pack.stop()


def _described(resource: Resource, properties: Properties, provider: Resource | None) -> dict[str, Any]:
    options = analyzer_pb2.AnalyzerResourceOptions(
        protect=resource.protect, ignoreChanges=resource.ignore_changes, aliases=resource.aliases,
        additionalSecretOutputs=resource.additional_secret_outputs, parent=resource.parent,
    )  # fmt: skip
    told: dict[str, Any] = {**_identity(resource, properties), "options": options}
    if provider:
        told["provider"] = analyzer_pb2.AnalyzerProviderResource(**_identity(provider, provider.inputs))
    return told


def _identity(resource: Resource, properties: Properties) -> dict[str, Any]:
    def public(found: Properties) -> Properties:
        return {key: value for key, value in found.items() if not key.startswith("__")}

    about = {"urn": resource.urn, "type": resource.type, "name": resource.name}
    return {**about, "properties": to_wire(walk(properties, on_map=public))}
