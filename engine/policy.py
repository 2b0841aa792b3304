"""Policy packs: programs that judge resources before they are touched, over `pulumirpc.Analyzer`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import grpc
import yaml
from google.protobuf import empty_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from engine.display import Shown, named
from engine.errors import EngineError
from engine.monitor import own_frames
from engine.provider import LIMITS
from engine.state import STACK_TYPE, Resource
from engine.values import Properties, to_wire, walk

JUDGES = 4
"""How many resources are judged at once; the packs are one process each."""
START_SECONDS = 60.0  # a pack that needs longer hangs
_LEVELS = {"advisory": 0, "mandatory": 1, "disabled": 2, "remediate": 3}  # of pulumirpc.EnforcementLevel
_SEVERITIES = {1: "low", 2: "medium", 3: "high", 4: "critical"}
_TYPES: dict[str, Any] = {
    "array": list, "boolean": bool, "integer": int, "number": (int, float), "object": dict, "string": str,
}  # fmt: skip
_Config = Mapping[str, tuple[int | None, Properties]]
"""A level, None where the one before stays, and properties, by the name of the policy or for `all`."""


@dataclass(frozen=True, order=True)
class Violation:
    """What a policy says about a resource; they sort as the CLI shows them."""

    advisory: bool
    mildness: int  # 0 is critical
    policy: str
    urn: str
    message: str

    @property
    def title(self) -> str:
        """How it is announced: level, severity if it has one, policy, resource."""
        grave = _SEVERITIES.get(len(_SEVERITIES) - self.mildness)
        words = [
            "[advisory]" if self.advisory else "[mandatory]",
            *([f"[severity: {grave}]"] if grave else []),
        ]
        return f"{' '.join(words)}  {self.policy}  ({named(self.urn).replace(' ', ': ', 1)})"


@dataclass(frozen=True)
class About:
    """What packs are told about the operation."""

    project: str
    stack: str
    preview: bool
    config: dict[str, str]
    engine: str  # its address


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


class Pack:
    """One pack, with what it found. Its process starts at once; who asks it first waits until it is ready."""

    def __init__(self, folder: Path, config: Path | None, about: About, shown: Shown) -> None:
        self.folder, self.title, self.violations = folder, f"policy pack {folder}", set[Violation]()
        self._about, self._shown, self._lock, self.failed = about, shown, threading.Lock(), False
        self._file, self._given = config, _read_config(config) if config else {}
        self._ready = Future[analyzer_pb2_grpc.AnalyzerStub]()
        python, self._program, self._version = self._project()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process lives
        env = {"PROJECT": about.project, "STACK": about.stack, "ORGANIZATION": "organization"}
        env |= {"DRY_RUN": str(about.preview).lower(), "CONFIG": json.dumps(about.config)}
        self._process = subprocess.Popen(  # noqa: S603 - what the user named
            [python, "-u", "-m", "pulumi.policy", about.engine, self._program], cwd=self._program,
            env=os.environ | {f"PULUMI_{key}": value for key, value in env.items()},
            stdout=subprocess.PIPE, stderr=self._errors, text=True,
            process_group=0,  # an interrupt is for the engine to deal with
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()

    def judge(self, request: Any, urn_of: Callable[[str], str]) -> set[Violation]:
        """Return what the pack has to say about a resource or stack, each under `urn_of` its URN."""
        try:
            stub = self._ready.result(START_SECONDS)
        except TimeoutError as error:
            raise EngineError(f"{self.title} has not started in {START_SECONDS:.0f} s") from error
        about_stack = isinstance(request, analyzer_pb2.AnalyzeStackRequest)
        answer = self._ask(stub, "AnalyzeStack" if about_stack else "Analyze", request)
        found = {
            Violation(
                one.enforcementLevel == _LEVELS["advisory"], len(_SEVERITIES) - one.severity, one.policyName,
                urn_of(one.urn), one.message.rstrip(),
            )
            for one in answer.diagnostics
        }  # fmt: skip
        with self._lock:
            self.violations |= found
        return found

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _project(self) -> tuple[str, str, str]:
        """Return what PulumiPolicy.yaml says: the Python to run, the program, the pack's version."""
        folder, file = self.folder.resolve(), self.folder / "PulumiPolicy.yaml"
        try:
            project = yaml.safe_load(file.read_text())
            runtime = project["runtime"]
        except OSError as error:
            raise EngineError(f"{self.title}: {file}: {error.strerror}") from error
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise EngineError(f"{self.title}: {file} does not describe one: {error!r}") from error
        runtime = runtime if isinstance(runtime, dict) else {"name": runtime}
        if runtime.get("name") != "python":
            raise EngineError(f"{self.title}: runtime {runtime.get('name')!r} needs the Pulumi CLI")
        environment = (runtime.get("options") or {}).get("virtualenv")
        python = folder / environment / "bin" / "python" if environment else Path(sys.executable)
        if not python.exists():
            raise EngineError(f"{self.title}: {python} is missing; make the virtualenv that {file} names")
        return str(python), str(folder / (project.get("main") or "")), str(project.get("version") or "")

    def _listen(self) -> None:
        """Wait for the port that the process prints, configure the pack, show what else it prints."""
        for line in self._process.stdout or ():
            if self._ready.done() or not line.strip().isdigit():
                self._shown.log("info", line)
                continue
            channel = grpc.insecure_channel(f"127.0.0.1:{line.strip()}", options=LIMITS)
            stub = analyzer_pb2_grpc.AnalyzerStub(channel)
            try:
                self._configure(stub)
                self._ready.set_result(stub)
            except EngineError as error:
                self._ready.set_exception(error)
        if not self._ready.done():
            what = f"{self.title} failed to start: {self._last_words() or 'it ended without a PolicyPack'}"
            self._ready.set_exception(EngineError(what))

    def _configure(self, stub: analyzer_pb2_grpc.AnalyzerStub) -> None:
        about = self._about
        request = analyzer_pb2.AnalyzerStackConfigureRequest(
            stack=about.stack, project=about.project, organization="organization", dry_run=about.preview,
            config=about.config,
        )  # fmt: skip
        self._ask(stub, "ConfigureStack", request)
        info = self._ask(stub, "GetAnalyzerInfo", empty_pb2.Empty())
        settings = self._settings(info)
        if info.supportsConfig:
            self._ask(stub, "Configure", analyzer_pb2.ConfigureAnalyzerRequest(policyConfig=settings))
        self.title = f"{info.name}@v{self._version or info.version}"

    def _settings(self, info: analyzer_pb2.AnalyzerInfo) -> dict[str, analyzer_pb2.PolicyConfig]:
        """Return the settings of each policy: its own, then the pack's, then those of the config file."""
        initial = {
            name: (one.enforcementLevel, MessageToDict(one.properties))
            for name, one in info.initialConfig.items()
        }
        policies = {one.name: one for one in info.policies}
        if strangers := ", ".join(sorted(self._given.keys() - policies.keys() - {"all"})):
            raise EngineError(
                f"{self._file}: {info.name} has no policy {strangers}; it has {', '.join(policies)}"
            )
        settings, problems = {}, list[str]()
        for name, policy in policies.items():
            schema = walk(MessageToDict(policy.configSchema.properties))
            level: Any = policy.enforcementLevel
            properties = {key: one["default"] for key, one in schema.items() if "default" in one}
            for layer in (initial, self._given):
                for key in ("all", name):
                    own, more = layer.get(key, (None, {}))
                    level = level if own is None else own
                    properties |= more if key == name else {}
            problems += _problems(name, schema, list(policy.configSchema.required), properties)
            if level == _LEVELS["remediate"]:
                problems.append(f"{name}: level remediate needs the Pulumi CLI; there is mandatory")
            settings[name] = analyzer_pb2.PolicyConfig(enforcementLevel=level, properties=to_wire(properties))
        if problems:
            raise EngineError(f"{self._file or self.title}: {'; '.join(problems)}")
        return settings

    def _ask(self, stub: analyzer_pb2_grpc.AnalyzerStub, method: str, request: Any) -> Any:
        try:
            return getattr(stub, method)(request)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED and method in ("ConfigureStack", "AnalyzeStack"):
                return analyzer_pb2.AnalyzeResponse()  # of a pack for older versions of the CLI
            self.failed = True
            died = error.code() == grpc.StatusCode.UNAVAILABLE
            what = f"it ended: {self._last_words()}" if died else f"a policy failed: {error.details()}"
            raise EngineError(f"{self.title}: {what.removesuffix(': ')}") from error

    def _last_words(self) -> str:
        """Return why the process failed: the pack's own frames of the last traceback, or its last line."""
        text = os.pread(self._errors.fileno(), 1 << 24, 0).decode(errors="replace").rstrip()
        return own_frames(text, Path(self._program)) if "Traceback" in text else text.rpartition("\n")[2]


def _read_config(file: Path) -> _Config:
    """Read a pack's config file: by policy a level, or an object with enforcementLevel and properties."""
    try:
        document = json.loads(file.read_text().strip() or "{}")
        if "environments" in document:
            raise EngineError(f"--policy-pack-config {file}: environments needs the Pulumi CLI")
        given = {
            key: {"enforcementLevel": one} if isinstance(one, str) else dict(one)
            for key, one in document.items()
        }
    except OSError as error:
        raise EngineError(f"--policy-pack-config {file}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise EngineError(
            f"--policy-pack-config {file}: not an object of levels and objects: {error}"
        ) from error
    config: dict[str, tuple[int | None, Properties]] = {}
    for key, properties in given.items():
        level = properties.pop("enforcementLevel", None)
        if level is not None and level not in _LEVELS:
            raise EngineError(f"{file}: {key}: {level!r} is no level; there are {', '.join(_LEVELS)}")
        config[key] = (_LEVELS[level] if level else None, properties)
    return config


def _problems(policy: str, schema: Properties, required: list[str], given: Properties) -> Iterator[str]:
    """Yield what is wrong with a policy's properties: the part of JSON schema that flat settings need."""
    yield from (f"{policy}: {key} is missing" for key in required if key not in given)
    for key, value in given.items():
        wanted = schema.get(key, {}).get("type")
        known = _TYPES.get(wanted, object) if isinstance(wanted, str) else object
        if not isinstance(value, known) or (isinstance(value, bool) and wanted in ("integer", "number")):
            yield f"{policy}: {key}: {value!r} is not of type {wanted}"


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
