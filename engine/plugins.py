"""Clients of resource providers: ours in this process, others at addresses that the user names."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from engine.errors import EngineError
from engine.plan import Diff
from engine.provider import LIMITS, serve
from engine.simulated import Simulation
from engine.state import Resource
from engine.values import UNKNOWN, Properties, from_wire, secret, to_wire


class Provider:
    """One provider, spoken to over `pulumirpc.ResourceProvider`."""

    def __init__(self, address: str, stop: Callable[[], None]) -> None:
        self.stop = stop
        self._stub = provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(address, options=LIMITS))

    def configure(self, inputs: Properties) -> None:
        """Hand over the provider's settings."""
        about: dict[str, Any] = {"sends_old_inputs": True, "sends_old_inputs_to_delete": True}
        about["args"] = to_wire({key: inputs[key] for key in inputs.keys() - {"__internal"}})
        answer = self.call("Configure", provider_pb2.ConfigureRequest(acceptSecrets=True, **about))
        if not (answer.acceptSecrets and answer.supportsPreview):
            raise EngineError("a provider without support for secrets and previews needs the Pulumi CLI")

    def check(self, method: str, urn: str, olds: Properties, news: Properties) -> Properties:
        """Return checked inputs with defaults filled in, or settings with `CheckConfig`."""
        about = {"olds": to_wire(olds), "news": to_wire(news), "randomSeed": os.urandom(32), **_about(urn)}
        answer = self.call(method, provider_pb2.CheckRequest(**about))
        if failures := [f"{one.property}: {one.reason}".removeprefix(": ") for one in answer.failures]:
            raise EngineError("; ".join(failures))
        return dict(from_wire(answer.inputs))

    def diff(self, old: Resource, news: Properties, ignore: list[str]) -> Diff:
        """Compare a resource with new inputs."""
        request = provider_pb2.DiffRequest(news=to_wire(news), ignoreChanges=ignore, **_old(old, "olds"))
        answer = self.call("Diff", request)
        kinds = provider_pb2.PropertyDiff.Kind
        detailed = {
            path: {"kind": kinds.Name(one.kind).lower().replace("_", "-"), "inputDiff": one.inputDiff}
            for path, one in sorted(answer.detailedDiff.items())
        }
        changed = answer.changes == provider_pb2.DiffResponse.DIFF_SOME
        if answer.changes == provider_pb2.DiffResponse.DIFF_UNKNOWN:
            changed = old.inputs != news
        replaces, keys, told = list(answer.replaces), sorted(set(answer.diffs)), answer.hasDetailedDiff
        return Diff(changed, replaces, keys, answer.deleteBeforeReplace, detailed if told else None)

    def create(self, new: Resource, preview: bool) -> None:
        """Create; `new` gets id, outputs, and why it is not ready if it isn't."""
        about = {"properties": to_wire(new.inputs), "preview": preview, **_about(new.urn)}
        _take(new, self.call("Create", provider_pb2.CreateRequest(**about)), preview)

    def update(self, old: Resource, new: Resource, preview: bool) -> None:
        """Update in place; `new` gets outputs, and why it is not ready if it isn't."""
        about = {"ignoreChanges": new.ignore_changes, "preview": preview, **_old(old, "olds")}
        _take(new, self.call("Update", provider_pb2.UpdateRequest(news=to_wire(new.inputs), **about)))

    def read(self, resource: Resource, id_: str) -> bool:
        """Bring `resource` to what it is now; return whether it is there."""
        about = {"id": id_, "properties": to_wire(resource.outputs), **_about(resource.urn)}
        answer = self.call("Read", provider_pb2.ReadRequest(inputs=to_wire(resource.inputs), **about))
        if answer.id:
            resource.inputs = from_wire(answer.inputs) if answer.HasField("inputs") else resource.inputs
            _take(resource, answer)
        return bool(answer.id)

    def delete(self, old: Resource) -> None:
        """Delete; what is gone already is no error."""
        self.call("Delete", provider_pb2.DeleteRequest(**_old(old, "properties")))

    def invoke(self, token: str, args: Properties, preview: bool) -> Any:
        """Call a function; return the provider's answer."""
        request = provider_pb2.InvokeRequest(tok=token, args=to_wire(args), preview=preview)
        return self.call("Invoke", request)

    def call(self, method: str, request: Any) -> Any:
        """Call a method; what a provider need not have is answered for it."""
        try:
            return getattr(self._stub, method)(request)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED and method == "CheckConfig":
                return provider_pb2.CheckResponse(inputs=request.news)
            packed = {one.key: one.value for one in error.trailing_metadata() or ()}
            status = status_pb2.Status.FromString(packed.get("grpc-status-details-bin", b""))
            unready = provider_pb2.ErrorResourceInitFailed()
            if any(one.Unpack(unready) for one in status.details):
                return unready  # it has what the answer would have, and the reasons
            raise EngineError(error.details() or str(error.code())) from error


class Plugins:
    """Starts or finds providers; those named in PULUMI_DEBUG_PROVIDERS log to the address `engine`."""

    def __init__(self, engine: str, log: Callable[[str, str], None], simulation: Simulation) -> None:
        named = os.environ.get("PULUMI_DEBUG_PROVIDERS", "").split(",")
        self._named = {pair.partition(":")[0]: f"127.0.0.1:{pair.partition(':')[2]}" for pair in named}
        self._engine, self._log, self._started = engine, log, list[Provider]()
        self._simulation = simulation

    def start(self, package: str) -> Provider:
        """Return a new, not yet configured provider of `package`."""
        from engine.providers import PROVIDERS  # here, so that commands that need no provider start fast

        own = PROVIDERS | self._simulation.packages
        if package in self._named:
            provider = Provider(self._named[package], lambda: None)
            provider.call("Attach", plugin_pb2.PluginAttach(address=self._engine))
        elif package in own:
            provider = Provider(*serve(own[package](), self._log))
        else:
            raise EngineError(f"package {package} needs the Pulumi CLI; the engine has {', '.join(own)}")
        self._started.append(provider)
        return provider

    def cancel(self) -> None:
        """Tell every provider to stop waiting."""
        for provider in list(self._started):
            with contextlib.suppress(EngineError):  # not every provider can
                provider.call("Cancel", empty_pb2.Empty())

    def stop(self) -> None:
        """Stop the providers of this process."""
        for provider in self._started:
            provider.stop()


def _about(urn: str) -> dict[str, Any]:
    return {"urn": urn, "name": urn.rsplit("::", 1)[-1], "type": urn.split("::")[2].rpartition("$")[2]}


def _old(old: Resource, outputs: str) -> dict[str, Any]:
    wire = {outputs: to_wire(old.outputs), "old_inputs": to_wire(old.inputs)}
    return {"id": old.id, **wire, **_about(old.urn)}


def _take(resource: Resource, answer: Any, planned: bool = False) -> None:
    """Take over what a provider says there is."""
    resource.id = getattr(answer, "id", "") or resource.id
    outputs = from_wire(answer.properties)
    hidden = [key for key in resource.additional_secret_outputs if planned or key in outputs]
    # All at once, as another checkpoint may be written meanwhile; what is not known yet will be secret.
    resource.outputs = outputs | {key: secret(outputs.get(key, UNKNOWN)) for key in hidden}
    resource.init_errors = list(getattr(answer, "reasons", ()))
