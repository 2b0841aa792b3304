# ruff: noqa: N802 - the protocol names its methods
"""Resource providers: plain-Python hooks, and the adapter that serves them as `pulumirpc.ResourceProvider`.

A `Provider` sees ordinary dicts. Secrets are unwrapped before a hook is called and put back on what it
returns: an output is secret when the input of the same name was, or when the hook wrapped it in `Secret`.
The adapter speaks Pulumi's own protocol, so a provider can also be attached to the Pulumi CLI with
`PULUMI_DEBUG_PROVIDERS=name:port`.
"""

from __future__ import annotations

import functools
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, ClassVar

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from engine.values import UNKNOWN, Properties, Secret, from_wire, has_secret, reveal, to_wire

Found = tuple[str, Properties] | tuple[str, Properties, Properties] | None
WORKERS = 64
"""How many operations run at once, at most."""
LIMITS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
"""Of messages: none, as for the Pulumi CLI."""
NEEDS_CLI = "{} is not supported by the embedded engine: needs the Pulumi CLI"
ENGINES_OWN = frozenset(("version", "__internal", "pluginDownloadURL"))
"""What an engine notes among a provider's settings for itself."""
EMPTY: tuple[Any, ...] = (None, "", [], {}, 0, False)
WORDS = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "a map"}


class ProviderError(Exception):
    """An operation that failed, with one message that names the thing and the way out."""


class InitError(ProviderError):
    """A resource that exists but did not become ready; the engine records it so that it is not lost."""

    def __init__(self, resource_id: str, outputs: Properties, reason: str) -> None:
        super().__init__(reason)
        self.resource_id, self.outputs = resource_id, outputs


@dataclass(frozen=True)
class Context:
    """The resource that a hook works on. `log` shows one line of progress to the user."""

    urn: str
    log: Callable[[str], None] = field(default=lambda message: None)
    ignored: tuple[str, ...] = ()
    """The paths that an update leaves as they are."""
    given: struct_pb2.Struct = field(default_factory=struct_pb2.Struct)
    """The inputs as they came."""

    @property
    def type(self) -> str:
        """The resource's type token, `docker:index/volume:Volume`."""
        return self.urn.split("::")[2].rpartition("$")[2]

    @property
    def name(self) -> str:
        """The resource's name in the program."""
        return self.urn.split("::", 3)[3]

    def error(self, reason: str) -> ProviderError:
        """An error that names the resource."""
        return ProviderError(f'{self.type} "{self.name}": {reason}')


@dataclass(frozen=True)
class Diff:
    """Property path to its kind: add, delete or update, with `-replace` where only a replacement helps."""

    changes: Mapping[str, str] = field(default_factory=dict)
    delete_before_replace: bool = False


class Resource(ABC):
    """A resource type. Hooks raise `ProviderError`; anything else they raise is a defect."""

    inputs: ClassVar[Properties] = {}
    """What each input is: a type, a pattern, a list of one of these, or names and what they are."""
    in_place: frozenset[str] = frozenset()
    """Inputs that `update` can change; every other one replaces the resource."""
    live: frozenset[str] = frozenset()
    """Inputs that can change from outside: their outputs are compared, which a refresh brings up to date."""
    by_path = False
    """Whether a plan's reasons for a replacement are property paths, not inputs."""

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        """Return valid inputs, names drawn from `seed`; refuse what is not declared, all of it at once."""
        if problems := list(_problems(self.inputs, news, "")):
            raise ctx.error("; ".join(problems))
        return {name: value for name, value in news.items() if value is not None}

    def diff(self, ctx: Context, olds: Properties, inputs: Properties, news: Properties) -> Diff:
        """Compare old inputs with new ones; what was imported has outputs (`olds`) alone."""
        before = inputs or {name: olds.get(name) for name in news}
        before |= {name: olds.get(name) for name in self.live}
        found: dict[str, str] = {}
        for name in self.inputs:
            suffix = "" if name in self.in_place else "-replace"
            found |= {at: f"{kind}{suffix}" for at, kind in changes(before.get(name), news.get(name), name)}
        return Diff(found)

    def plan(self, ctx: Context, olds: Properties, news: Properties) -> Properties | None:
        """Return the outputs that `news` will give, unknown where it is; None when only doing it can tell."""
        return None

    @abstractmethod
    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Make it; return its id and outputs."""

    def read(self, ctx: Context, id_: str, inputs: Properties, olds: Properties) -> Found:
        """Return id and outputs as they are now, and inputs if they drifted; None when it is gone.

        Without `olds` this looks for what an interrupted `create` of `inputs` left: what is not it is None.
        """
        return id_, olds

    def update(self, ctx: Context, id_: str, olds: Properties, news: Properties) -> Properties:
        """Change it in place, or finish an interrupted creation; return its outputs."""
        return olds

    def delete(self, ctx: Context, id_: str, olds: Properties) -> None:  # noqa: B027 - a default, no gap
        """Remove it; one that is gone already is no error, what lives in the state alone needs nothing."""


class Provider:
    """A package: its resource types by token, and its settings."""

    name = version = ""
    config_keys: frozenset[str] = frozenset()

    def __init__(self, types: Mapping[str, Resource]) -> None:
        self.types = types
        self.cancelled = threading.Event()

    def resource(self, token: str) -> Resource:
        """Return the resource type of a token."""
        if token not in self.types:
            raise ProviderError(NEEDS_CLI.format(token))
        return self.types[token]

    def configure(self, args: Properties) -> None:
        """Take the settings."""

    def invoke(self, token: str, args: Properties) -> Properties:
        """Answer a function."""
        raise ProviderError(NEEDS_CLI.format(token))

    def close(self) -> None:
        """Let go of what was opened."""


def _problems(kind: Any, value: Any, path: str) -> Iterator[str]:
    """Yield what is wrong with a value."""
    expected: Any = kind if isinstance(kind, type) else type(kind)
    if value is None or value == UNKNOWN:
        return
    if not isinstance(value, expected) or isinstance(value, bool) != (expected is bool):
        yield f"{path} must be {WORDS[expected]}, not {type(value).__name__}"
    elif isinstance(kind, str) and not re.fullmatch(kind, value):
        yield f'{path} "{value}" does not match {kind}'
    elif isinstance(kind, list):
        for index, item in enumerate(value):
            yield from _problems(kind[0], item, f"{path}[{index}]")
    elif isinstance(kind, dict):
        for name, item in sorted(value.items()):
            at = f"{path}.{name}" if path else name
            if name in kind:
                yield from _problems(kind[name], item, at)
            elif name != "__defaults" and item is not None:
                yield NEEDS_CLI.format(at)


def changes(old: Any, new: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield property paths and how they change."""
    if old == new or (old in EMPTY and new in EMPTY):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys() - {"__defaults"}):
            at = f"{path}.{key}" if re.fullmatch(r"[A-Za-z_$][\w$]*", key) else f'{path}["{key}"]'
            yield from changes(old.get(key), new.get(key), at)
    elif isinstance(old, list) and isinstance(new, list):
        for index, (before, after) in enumerate(zip_longest(old, new)):
            yield from changes(before, after, f"{path}[{index}]")
    else:
        yield path, "add" if old is None else "delete" if new is None else "update"


def _keep_secret(outputs: Properties, inputs: Properties) -> Properties:
    """Mark as secret each output whose input of the same name holds a secret, lists as a whole."""
    marked = dict(outputs)
    for key in outputs.keys() & inputs.keys():
        out, given = outputs[key], inputs[key]
        if isinstance(out, dict) and isinstance(given, dict):
            marked[key] = _keep_secret(out, given)
        elif not isinstance(out, Secret) and has_secret(given):
            marked[key] = Secret(out)
    return marked


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what a hook raises into a gRPC status with one message, and what a failed creation left."""

    @functools.wraps(method)
    def call(self: _Adapter, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except ProviderError as error:
            message = str(error)
            if isinstance(error, InitError):
                given = request.news if method.__name__ == "Update" else request.properties
                outputs = _wired(error.outputs, from_wire(given))
                failed = provider_pb2.ErrorResourceInitFailed
                status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message)
                status.details.add().Pack(failed(id=error.resource_id, properties=outputs, reasons=[message]))
                context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        except Exception as error:  # a defect
            message = f"{self.provider.name} provider: {method.__name__}: {type(error).__name__}: {error}"
        return context.abort(grpc.StatusCode.UNKNOWN, message)

    return call


class _Adapter(provider_pb2_grpc.ResourceProviderServicer):
    """`pulumirpc.ResourceProvider` in front of one `Provider`."""

    def __init__(self, provider: Provider, log: Callable[[str, str], None]) -> None:
        self.provider, self.log = provider, log

    def _of(self, request: Any) -> tuple[Context, Resource]:
        ignored, fields = tuple(getattr(request, "ignoreChanges", ())), request.DESCRIPTOR.fields_by_name
        given = getattr(request, next(one for one in ("news", "inputs", "properties") if one in fields))
        ctx = Context(request.urn, functools.partial(self.log, request.urn), ignored, given)
        return ctx, self.provider.resource(ctx.type)

    @_guarded
    def CheckConfig(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        known = self.provider.config_keys | ENGINES_OWN
        if unknown := ", ".join(sorted(request.news.fields.keys() - known)):
            raise ProviderError(f"provider {self.provider.name}: {NEEDS_CLI.format(unknown)}")
        return provider_pb2.CheckResponse(inputs=request.news)

    @_guarded
    def Configure(self, request: Any, context: Any) -> provider_pb2.ConfigureResponse:
        args = _plain(request.args)
        self.provider.configure({key: args[key] for key in args.keys() - ENGINES_OWN})
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    @_guarded
    def Check(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        ctx, resource = self._of(request)
        inputs = resource.check(ctx, _plain(request.olds), _plain(request.news), request.randomSeed)
        return provider_pb2.CheckResponse(inputs=_wired(inputs, from_wire(request.news)))

    @_guarded
    def Diff(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        ctx, resource = self._of(request)
        diff = resource.diff(ctx, _plain(request.olds), _plain(request.old_inputs), _plain(request.news))
        ignored = [re.compile(re.escape(prefix) + r"($|[.\[])") for prefix in request.ignoreChanges]
        changes = {at: kind for at, kind in diff.changes.items() if not any(one.match(at) for one in ignored)}
        top = {path: re.split(r"[.\[]", path, maxsplit=1)[0] for path in changes}
        shown = {path: path for path in changes} if resource.by_path else top
        replaces = sorted({shown[path] for path, kind in changes.items() if kind.endswith("-replace")})
        one, kinds = provider_pb2.PropertyDiff, provider_pb2.DiffResponse
        number = {path: one.Kind.Value(kind.upper().replace("-", "_")) for path, kind in changes.items()}
        return kinds(
            changes=kinds.DIFF_SOME if changes else kinds.DIFF_NONE,
            diffs=[] if resource.by_path else sorted(set(top.values())),
            deleteBeforeReplace=bool(replaces) and diff.delete_before_replace, hasDetailedDiff=True,
            detailedDiff={path: one(kind=kind) for path, kind in number.items()}, replaces=replaces,
        )  # fmt: skip

    @_guarded
    def Create(self, request: Any, context: Any) -> provider_pb2.CreateResponse:
        (ctx, resource), inputs = self._of(request), from_wire(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=_planned(ctx, resource, {}, inputs))
        id_, outputs = resource.create(ctx, reveal(inputs))
        return provider_pb2.CreateResponse(id=id_, properties=_wired(outputs, inputs))

    @_guarded
    def Read(self, request: Any, context: Any) -> provider_pb2.ReadResponse:
        ctx, resource = self._of(request)
        inputs, olds = from_wire(request.inputs), from_wire(request.properties)
        found = resource.read(ctx, request.id, reveal(inputs), reveal(olds))
        if found is None:
            return provider_pb2.ReadResponse()
        outputs = _wired(_keep_secret(found[1], inputs), olds)
        drifted = _wired(found[2], inputs) if len(found) == 3 else request.inputs
        return provider_pb2.ReadResponse(id=found[0], inputs=drifted, properties=outputs)

    @_guarded
    def Update(self, request: Any, context: Any) -> provider_pb2.UpdateResponse:
        (ctx, resource), news = self._of(request), from_wire(request.news)
        if request.preview:
            olds = from_wire(request.olds)
            return provider_pb2.UpdateResponse(properties=_planned(ctx, resource, olds, news))
        outputs = resource.update(ctx, request.id, _plain(request.olds), reveal(news))
        return provider_pb2.UpdateResponse(properties=_wired(outputs, news))

    @_guarded
    def Delete(self, request: Any, context: Any) -> empty_pb2.Empty:
        ctx, resource = self._of(request)
        resource.delete(ctx, request.id, _plain(request.properties))
        return empty_pb2.Empty()

    @_guarded
    def Invoke(self, request: Any, context: Any) -> provider_pb2.InvokeResponse:
        answer: Any = {"return": to_wire(self.provider.invoke(request.tok, _plain(request.args)))}
        return provider_pb2.InvokeResponse(**answer)

    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        self.provider.cancelled.set()
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self.provider.version)

    def Attach(self, request: Any, context: Any) -> empty_pb2.Empty:
        return empty_pb2.Empty()


def _plain(struct: struct_pb2.Struct) -> Properties:
    """Properties as hooks see them: no `Secret` anywhere."""
    return dict(reveal(from_wire(struct)))


def _wired(values: Properties, inputs: Properties) -> struct_pb2.Struct:
    """Properties as the protocol has them, secret where inputs were, also in a copy of the inputs."""
    return to_wire(_keep_secret(values, {"__inputs": inputs, **inputs}))


def _planned(ctx: Context, resource: Resource, olds: Properties, news: Properties) -> struct_pb2.Struct:
    """Outputs for a preview."""
    told = resource.plan(ctx, reveal(olds), reveal(news))
    return to_wire({**olds, **news}) if told is None else _wired(told, news)


def serve(
    provider: Provider, log: Callable[[str, str], None] = lambda urn, message: None
) -> tuple[str, Callable[[], None]]:
    """Serve a provider, which logs (urn, message); return its loopback address and what stops it."""
    server = grpc.server(ThreadPoolExecutor(WORKERS, f"{provider.name}-provider"), options=LIMITS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(_Adapter(provider, log), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def stop() -> None:
        server.stop(grace=None).wait()
        provider.close()

    return f"127.0.0.1:{port}", stop
