"""Clients of resource providers: ours in this process, others at addresses that the user names."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from engine.errors import EngineError
from engine.plan import Diff
from engine.provider import serve
from engine.state import Resource
from engine.values import Properties, from_wire, has_secret, secret, to_wire

LIMITS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_OPTIONAL = {"CheckConfig", "DiffConfig", "Cancel"}  # methods that a provider need not have


class InitFailedError(EngineError):
    """The resource exists but did not become ready."""

    def __init__(self, message: str, id_: str, outputs: Properties, reasons: list[str]) -> None:
        super().__init__(message)
        self.id, self.outputs, self.reasons = id_, outputs, reasons


class Provider:
    """One provider, spoken to over `pulumirpc.ResourceProvider`; `previews` once it is configured."""

    def __init__(self, address: str, stop: Callable[[], None]) -> None:
        self.stop, self.previews, self._secrets = stop, False, True
        self._stub = provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(address, options=LIMITS))

    def configure(self, inputs: Properties) -> None:
        """Hand over the provider's settings."""
        args = to_wire({key: value for key, value in inputs.items() if key not in ("version", "__internal")})
        request = provider_pb2.ConfigureRequest(
            args=args, acceptSecrets=True, sends_old_inputs=True, sends_old_inputs_to_delete=True
        )
        answer = self.call("Configure", request)
        self._secrets, self.previews = answer.acceptSecrets, answer.supportsPreview

    def check(
        self, method: str, urn: str, olds: Properties, news: Properties, seed: bytes = b""
    ) -> Properties:
        """Return checked inputs with defaults filled in, or settings with `CheckConfig`."""
        about = {"olds": self._wire(olds), "news": self._wire(news), "randomSeed": seed, **_about(urn)}
        answer = self.call(method, provider_pb2.CheckRequest(**about))
        if failures := [f"{one.property}: {one.reason}".removeprefix(": ") for one in answer.failures]:
            raise EngineError("; ".join(failures))
        return self._properties(answer.inputs, news)

    def diff(self, method: str, old: Resource, news: Properties, ignore: list[str]) -> Diff:
        """Compare a resource, or with `DiffConfig` a provider, with new inputs."""
        about = {"news": self._wire(news), "ignoreChanges": ignore, **self._olds(old, "olds")}
        answer = self.call(method, provider_pb2.DiffRequest(**about))
        kinds = provider_pb2.PropertyDiff.Kind
        detailed = {
            path: {"kind": kinds.Name(one.kind).lower().replace("_", "-"), "inputDiff": one.inputDiff}
            for path, one in sorted(answer.detailedDiff.items())
        }
        unknown = answer.changes == provider_pb2.DiffResponse.DIFF_UNKNOWN
        return Diff(
            old.inputs != news if unknown else answer.changes == provider_pb2.DiffResponse.DIFF_SOME,
            list(answer.replaces), sorted(set(answer.diffs)), answer.deleteBeforeReplace,
            detailed if answer.hasDetailedDiff else None,
        )  # fmt: skip

    def create(self, urn: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        """Create; return id and outputs."""
        request = provider_pb2.CreateRequest(properties=self._wire(inputs), preview=preview, **_about(urn))
        answer = self.call("Create", request, inputs)
        if not answer.id and not preview:
            raise EngineError(f"{urn}: the provider returned no id")
        return answer.id, self._properties(answer.properties, inputs)

    def read(
        self, urn: str, id_: str, inputs: Properties, outputs: Properties
    ) -> tuple[str, Properties, Properties] | None:
        """Return id, inputs and outputs as they are now, or None when it is gone."""
        about = {"id": id_, "properties": self._wire(outputs), "inputs": self._wire(inputs), **_about(urn)}
        answer = self.call("Read", provider_pb2.ReadRequest(**about), inputs)
        if not answer.id:
            return None
        seen = self._properties(answer.inputs, inputs) if answer.HasField("inputs") else inputs
        return answer.id, seen, self._properties(answer.properties, outputs or inputs)

    def update(self, old: Resource, news: Properties, ignore: list[str], preview: bool) -> Properties:
        """Update in place; return the outputs."""
        about = {"ignoreChanges": ignore, "preview": preview, **self._olds(old, "olds")}
        answer = self.call("Update", provider_pb2.UpdateRequest(news=self._wire(news), **about), news)
        return self._properties(answer.properties, news)

    def delete(self, old: Resource) -> None:
        """Delete; what is gone already is no error."""
        self.call("Delete", provider_pb2.DeleteRequest(**self._olds(old, "properties")))

    def invoke(self, token: str, args: Properties, preview: bool) -> Any:
        """Call a function of the package."""
        return self.call(
            "Invoke", provider_pb2.InvokeRequest(tok=token, args=self._wire(args), preview=preview)
        )

    def call(self, method: str, request: Any, inputs: Properties | None = None) -> Any:
        """Call a method; what a provider need not have is answered for it."""
        try:
            return getattr(self._stub, method)(request)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED and method in _OPTIONAL:
                answers = provider_pb2.CheckResponse, provider_pb2.DiffResponse
                return answers[0](inputs=request.news) if method == "CheckConfig" else answers[1]()
            message, detail = error.details() or str(error.code()), provider_pb2.ErrorResourceInitFailed()
            packed = {one.key: one.value for one in error.trailing_metadata() or ()}
            status = status_pb2.Status.FromString(packed.get("grpc-status-details-bin", b""))
            if any(one.Unpack(detail) for one in status.details):
                outputs = self._properties(detail.properties, inputs or {})
                raise InitFailedError(message, detail.id, outputs, list(detail.reasons)) from error
            raise EngineError(message) from error

    def _wire(self, properties: Properties) -> struct_pb2.Struct:
        return to_wire(properties, secrets=self._secrets)

    def _olds(self, old: Resource, outputs: str) -> dict[str, Any]:
        inputs = self._wire(old.inputs)
        return {"id": old.id, outputs: self._wire(old.outputs), "old_inputs": inputs, **_about(old.urn)}

    def _properties(self, struct: struct_pb2.Struct, given: Properties) -> Properties:
        """Decode; a provider that was not told what is secret can't mark it, so names decide."""
        hidden = set() if self._secrets else {key for key, value in given.items() if has_secret(value)}
        return {key: secret(value) if key in hidden else value for key, value in from_wire(struct).items()}


class Plugins:
    """Starts or finds providers; those named in PULUMI_DEBUG_PROVIDERS log to the address `engine`."""

    def __init__(self, engine: str, log: Callable[[str, str], None]) -> None:
        named = os.environ.get("PULUMI_DEBUG_PROVIDERS", "").split(",")
        self._named = {pair.partition(":")[0]: f"127.0.0.1:{pair.partition(':')[2]}" for pair in named}
        self._engine, self._log, self._started = engine, log, list[Provider]()

    def start(self, package: str) -> Provider:
        """Return a new, not yet configured provider of `package`."""
        from engine.providers import PROVIDERS  # here, so that commands that need no provider start fast

        if package in self._named:
            provider = Provider(self._named[package], lambda: None)
            provider.call("Attach", plugin_pb2.PluginAttach(address=self._engine))
        elif package in PROVIDERS:
            provider = Provider(*serve(PROVIDERS[package](), self._log))
        else:
            own = ", ".join(PROVIDERS)
            raise EngineError(f"package {package} needs the Pulumi CLI; the embedded engine has {own}")
        self._started.append(provider)
        return provider

    def cancel(self) -> None:
        """Tell every provider to stop waiting."""
        for provider in list(self._started):
            provider.call("Cancel", empty_pb2.Empty())

    def stop(self) -> None:
        """Stop the providers of this process."""
        for provider in self._started:
            provider.stop()


def _about(urn: str) -> dict[str, Any]:
    return {"urn": urn, "name": urn.rsplit("::", 1)[-1], "type": urn.split("::")[2].rpartition("$")[2]}
