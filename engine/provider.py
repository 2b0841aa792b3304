# ruff: noqa: N802 - the protocol names its methods
"""Resource providers: plain-Python hooks, and the adapter that serves them as `pulumirpc.ResourceProvider`.

A `Provider` sees ordinary dicts. Secrets are unwrapped before a hook is called and put back on what it
returns: an output is secret when the input of the same name was, or when the hook wrapped it in `Secret`.
The adapter speaks Pulumi's own protocol, so a provider can also be attached to the Pulumi CLI with
`PULUMI_DEBUG_PROVIDERS=name:port`.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from engine.values import UNKNOWN, Properties, Secret, from_wire, has_secret, reveal, to_wire

Log = Callable[[str, str], None]
Found = tuple[str, Properties] | None
KINDS = provider_pb2.PropertyDiff.Kind
WORKERS = 64
"""How many operations run at once, at most."""
NEEDS_CLI = "{} is not supported by the embedded engine: needs the Pulumi CLI"


class ProviderError(Exception):
    """An operation that failed, with one message that names the thing and the way out."""


class CheckError(ProviderError):
    """Inputs that were refused: `failures` holds (property, reason) pairs, all of them at once."""

    def __init__(self, failures: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(reason for _, reason in failures))
        self.failures = failures


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

    @property
    def type(self) -> str:
        """The resource's type token, `docker:index/volume:Volume`."""
        return self.urn.split("::")[2].rpartition("$")[2]

    @property
    def name(self) -> str:
        """The resource's name in the program."""
        return self.urn.split("::", 3)[3]

    def unsupported(self, path: str) -> tuple[str, str]:
        """The failure for an input that the real plugin has and this provider does not."""
        return path, f'{self.type} "{self.name}": {NEEDS_CLI.format(path)}'


@dataclass(frozen=True)
class Diff:
    """Property path to its kind: add, delete or update, with `-replace` where only a replacement helps."""

    changes: Mapping[str, str] = field(default_factory=dict)
    delete_before_replace: bool = False
    detailed: bool = True
    """Whether the plugin says what changes inside a property, or only which one does."""


class Resource:
    """A resource type. Hooks raise `ProviderError`; anything else they raise is a defect."""

    outputs: frozenset[str] = frozenset()
    """Names of all outputs; a preview shows those that are no inputs as unknown."""

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        """Return valid inputs with defaults filled in; names are drawn from `seed`."""
        raise NotImplementedError

    def diff(self, ctx: Context, olds: Properties, news: Properties) -> Diff:
        """Compare the recorded outputs with new inputs."""
        raise NotImplementedError

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Make it; return its id and outputs."""
        raise NotImplementedError

    def read(self, ctx: Context, id_: str, inputs: Properties, olds: Properties) -> Found:
        """Return id and outputs as they are now, None when it is gone."""
        return id_, olds

    def update(self, ctx: Context, id_: str, olds: Properties, news: Properties) -> Properties:
        """Change it in place, or finish an interrupted creation; return its outputs."""
        return olds

    def delete(self, ctx: Context, id_: str, olds: Properties) -> None:
        """Remove it; one that is gone already is no error, what lives in the state alone needs nothing."""


class Provider:
    """A package: its resource types by token, and its settings."""

    name = ""
    version = ""
    config_keys: frozenset[str] = frozenset()

    def __init__(self, types: Mapping[str, Resource]) -> None:
        self.types = types
        self.cancelled = threading.Event()

    def configure(self, args: Properties) -> None:
        """Take the settings."""

    def close(self) -> None:
        """Let go of what was opened."""

    def resource(self, ctx: Context) -> Resource:
        """The resource type that `ctx` is of."""
        if ctx.type not in self.types:
            raise ProviderError(NEEDS_CLI.format(ctx.type))
        return self.types[ctx.type]


def token(package: str, name: str) -> str:
    """The type token of a resource, `docker:index/volume:Volume`."""
    return f"{package}:index/{name[0].lower()}{name[1:]}:{name}"


def unique_name(ctx: Context, seed: bytes) -> str:
    """The resource's automatic name: its own and seven hexadecimal digits, as Pulumi's bridge makes it."""
    return f"{ctx.name}-{hashlib.sha256(seed or os.urandom(32)).hexdigest()[:7]}"


def decode(struct: struct_pb2.Struct) -> Properties:
    """Properties as hooks see them: no `Secret` anywhere."""
    plain: Properties = reveal(from_wire(struct))
    return plain


def keep_secret(outputs: Properties, inputs: Properties) -> Properties:
    """Mark as secret each output whose input of the same name holds a secret, lists as a whole."""
    marked = dict(outputs)
    for key in outputs.keys() & inputs.keys():
        out, given = outputs[key], inputs[key]
        if isinstance(out, dict) and isinstance(given, dict):
            marked[key] = keep_secret(out, given)
        elif not isinstance(out, Secret) and has_secret(given):
            marked[key] = Secret(out)
    return marked


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what a hook raises into a gRPC status with one message."""

    @functools.wraps(method)
    def call(self: _Adapter, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except ProviderError as error:
            message = str(error)
        except Exception as error:  # a defect: the details belong in the log, one line before the user
            logging.getLogger(__name__).debug("%s failed", method.__name__, exc_info=True)
            message = f"{self.provider.name} provider: {method.__name__}: {type(error).__name__}: {error}"
        return context.abort(grpc.StatusCode.UNKNOWN, message)

    return call


class _Adapter(provider_pb2_grpc.ResourceProviderServicer):
    """`pulumirpc.ResourceProvider` in front of one `Provider`."""

    def __init__(self, provider: Provider, log: Log) -> None:
        self.provider, self.log = provider, log

    def _context(self, request: Any) -> Context:
        return Context(request.urn, functools.partial(self.log, request.urn))

    def _init_failed(self, context: grpc.ServicerContext, error: InitError, inputs: Properties) -> None:
        detail = provider_pb2.ErrorResourceInitFailed(
            id=error.resource_id, properties=to_wire(keep_secret(error.outputs, inputs)), reasons=[str(error)]
        )
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
        status.details.add().Pack(detail)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        raise error

    @_guarded
    def CheckConfig(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        known = self.provider.config_keys | {"version", "__internal", "pluginDownloadURL"}
        failures = [
            provider_pb2.CheckFailure(
                property=key, reason=f"provider {self.provider.name}: {NEEDS_CLI.format(key)}"
            )
            for key in sorted(decode(request.news).keys() - known)
        ]
        return provider_pb2.CheckResponse(inputs=None if failures else request.news, failures=failures)

    @_guarded
    def DiffConfig(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        same = decode(request.news) == decode(request.olds)
        kinds = provider_pb2.DiffResponse
        return kinds(changes=kinds.DIFF_NONE if same else kinds.DIFF_SOME)

    @_guarded
    def Configure(self, request: Any, context: Any) -> provider_pb2.ConfigureResponse:
        flat = {key.rpartition(":")[2]: value for key, value in request.variables.items()}
        self.provider.configure(decode(request.args) or flat)
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    @_guarded
    def Check(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        ctx, olds, news = self._context(request), decode(request.olds), decode(request.news)
        try:
            inputs = self.provider.resource(ctx).check(ctx, olds, news, request.randomSeed)
        except CheckError as error:
            failures = [provider_pb2.CheckFailure(property=p, reason=r) for p, r in error.failures]
            return provider_pb2.CheckResponse(failures=failures)
        return provider_pb2.CheckResponse(inputs=to_wire(keep_secret(inputs, from_wire(request.news))))

    @_guarded
    def Diff(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        ctx = self._context(request)
        diff = self.provider.resource(ctx).diff(ctx, decode(request.olds), decode(request.news))
        ignored = tuple(request.ignoreChanges)
        changes = {
            path: kind
            for path, kind in diff.changes.items()
            if not any(re.match(re.escape(prefix) + r"($|[.\[])", path) for prefix in ignored)
        }
        top = {path: re.split(r"[.\[]", path, maxsplit=1)[0] for path in changes}
        replaces = sorted({top[path] for path, kind in changes.items() if kind.endswith("-replace")})
        kinds = provider_pb2.DiffResponse
        return kinds(
            changes=kinds.DIFF_SOME if changes else kinds.DIFF_NONE,
            diffs=sorted(set(top.values())),
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and diff.delete_before_replace,
            detailedDiff={
                path: provider_pb2.PropertyDiff(kind=KINDS.Value(kind.upper().replace("-", "_")))
                for path, kind in changes.items()
                if diff.detailed
            },
            hasDetailedDiff=diff.detailed,
        )

    def _planned(self, ctx: Context, known: Properties) -> struct_pb2.Struct:
        shown = {key: value for key, value in known.items() if key != "__defaults"}
        return to_wire(dict.fromkeys(self.provider.resource(ctx).outputs, UNKNOWN) | shown)

    @_guarded
    def Create(self, request: Any, context: Any) -> provider_pb2.CreateResponse:
        ctx, inputs = self._context(request), from_wire(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=self._planned(ctx, inputs))
        try:
            made, outputs = self.provider.resource(ctx).create(ctx, decode(request.properties))
        except InitError as error:
            self._init_failed(context, error, inputs)
            raise
        return provider_pb2.CreateResponse(id=made, properties=to_wire(keep_secret(outputs, inputs)))

    @_guarded
    def Read(self, request: Any, context: Any) -> provider_pb2.ReadResponse:
        ctx, inputs, olds = self._context(request), from_wire(request.inputs), from_wire(request.properties)
        found = self.provider.resource(ctx).read(ctx, request.id, reveal(inputs), reveal(olds))
        if found is None:
            return provider_pb2.ReadResponse()
        outputs = keep_secret(keep_secret(found[1], inputs), olds)
        return provider_pb2.ReadResponse(id=found[0], inputs=request.inputs, properties=to_wire(outputs))

    @_guarded
    def Update(self, request: Any, context: Any) -> provider_pb2.UpdateResponse:
        ctx, inputs = self._context(request), from_wire(request.news)
        if request.preview:
            known = from_wire(request.olds) | inputs
            return provider_pb2.UpdateResponse(properties=self._planned(ctx, known))
        try:
            olds, news = decode(request.olds), decode(request.news)
            outputs = self.provider.resource(ctx).update(ctx, request.id, olds, news)
        except InitError as error:
            self._init_failed(context, error, inputs)
            raise
        return provider_pb2.UpdateResponse(properties=to_wire(keep_secret(outputs, inputs)))

    @_guarded
    def Delete(self, request: Any, context: Any) -> empty_pb2.Empty:
        ctx = self._context(request)
        self.provider.resource(ctx).delete(ctx, request.id, decode(request.properties))
        return empty_pb2.Empty()

    @_guarded
    def Invoke(self, request: Any, context: Any) -> provider_pb2.InvokeResponse:
        raise ProviderError(NEEDS_CLI.format(request.tok))

    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        self.provider.cancelled.set()
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self.provider.version)

    def Attach(self, request: Any, context: Any) -> empty_pb2.Empty:
        return empty_pb2.Empty()


def serve(provider: Provider, log: Log | None = None) -> tuple[str, Callable[[], None]]:
    """Serve a provider on a free loopback port of this process.

    Args:
        provider: what to serve.
        log: takes (urn, message) for each line of progress.

    Returns:
        Its address (`127.0.0.1:PORT`), and a function that stops it.
    """
    limit = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(WORKERS, f"{provider.name}-provider"), options=limit)
    adapter = _Adapter(provider, log or (lambda urn, message: None))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(adapter, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def stop() -> None:
        server.stop(grace=None).wait()
        provider.close()

    return f"127.0.0.1:{port}", stop
