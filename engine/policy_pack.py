"""One policy pack: its process, what it is told of the operation, and how its policies are set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
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
from engine.values import Properties, to_wire, walk

START_SECONDS = 60.0  # a pack that needs longer hangs
_RUN = """
import os, runpy, threading
threading.Thread(target=lambda: os._exit(len(os.read(0, 1))), daemon=True).start()
runpy.run_module("pulumi.policy", run_name="__main__", alter_sys=True)
"""
"""Like `python -m pulumi.policy`, but ends when standard input does: with the engine, however that ends."""
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
            [python, "-u", "-c", _RUN, about.engine, self._program], cwd=self._program,
            env=os.environ | {f"PULUMI_{key}": value for key, value in env.items()},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
            process_group=0,  # an interrupt is for the engine to deal with
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()

    def judge(self, request: Any, urn_of: Callable[[str], str]) -> set[Violation]:
        """Return what the pack has to say about a resource or stack, each under `urn_of` its URN."""
        try:
            found = set(self._judged(request, urn_of))
        except EngineError:
            self.failed = True
            raise
        with self._lock:
            self.violations |= found
        return found

    def _judged(self, request: Any, urn_of: Callable[[str], str]) -> Iterator[Violation]:
        try:
            stub = self._ready.result(START_SECONDS)
        except TimeoutError as error:
            raise EngineError(f"{self.title} has not started in {START_SECONDS:.0f} s") from error
        about_stack = isinstance(request, analyzer_pb2.AnalyzeStackRequest)
        for one in self._ask(stub, "AnalyzeStack" if about_stack else "Analyze", request).diagnostics:
            advisory, mildness = one.enforcementLevel == _LEVELS["advisory"], len(_SEVERITIES) - one.severity
            yield Violation(advisory, mildness, one.policyName, urn_of(one.urn), one.message.rstrip())

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
