"""A provider, served and spoken to as the engine does it."""

import os
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc, status_pb2

from engine.provider import Provider, serve
from engine.values import from_wire, reveal, to_wire

PREFIX = f"ollamamax-providertest-{os.getpid()}-"  # of this run: others may be under way on the same daemon
CONTAINER = "docker:index/container:Container"
IMAGE = "docker:index/image:Image"
BASE = "debian:trixie-slim"
REFERENCE = Path(__file__).parents[1] / "reference"


class Failed(Exception):  # noqa: N818 - reads as what happened
    """What the provider answered instead of a result."""

    def __init__(self, error: grpc.RpcError) -> None:
        super().__init__(error.details())
        self.id, self.outputs = "", {}
        metadata: Any = error.trailing_metadata() or ()
        for key, value in metadata:
            if key == "grpc-status-details-bin":
                detail = pb.ErrorResourceInitFailed()
                status_pb2.Status.FromString(value).details[0].Unpack(detail)
                self.id, self.outputs = detail.id, from_wire(detail.properties)


class Plugin:
    """Speaks pulumirpc.ResourceProvider, as an engine does."""

    def __init__(self, provider: Provider, settings: dict[str, Any] | None = None) -> None:
        self.log: list[str] = []
        self.address, self.stop = serve(provider, lambda urn, message: self.log.append(message))
        self._channel = grpc.insecure_channel(self.address)
        self._stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self.call("Configure", pb.ConfigureRequest(args=to_wire(settings or {}), acceptSecrets=True))

    def close(self) -> None:
        self._channel.close()
        self.stop()

    def call(self, method: str, request: Any) -> Any:
        try:
            return getattr(self._stub, method)(request, timeout=300)
        except grpc.RpcError as error:
            raise Failed(error) from None

    @staticmethod
    def urn(type_: str, name: str = "x") -> str:
        return f"urn:pulumi:test::project::{type_}::{name}"

    def check(
        self, type_: str, news: dict[str, Any], olds: dict[str, Any] | None = None, name: str = "x"
    ) -> Any:
        request = pb.CheckRequest(
            urn=self.urn(type_, name), news=to_wire(news), olds=to_wire(olds or {}), randomSeed=b"seed"
        )
        return from_wire(self.call("Check", request).inputs)

    def create(self, type_: str, inputs: dict[str, Any], name: str = "x") -> tuple[str, dict[str, Any]]:
        request = pb.CreateRequest(urn=self.urn(type_, name), properties=to_wire(inputs))
        answer = self.call("Create", request)
        return answer.id, from_wire(answer.properties)

    def diff(
        self, type_: str, olds: dict[str, Any], inputs: dict[str, Any], news: dict[str, Any],
        ignore: tuple[str, ...] = (),
    ) -> Any:  # fmt: skip
        """Compare recorded outputs and inputs with new inputs."""
        request = pb.DiffRequest(
            urn=self.urn(type_), olds=to_wire(olds), old_inputs=to_wire(inputs), news=to_wire(news),
            ignoreChanges=ignore,
        )  # fmt: skip
        return self.call("Diff", request)

    def changes(
        self, type_: str, olds: dict[str, Any], inputs: dict[str, Any], news: dict[str, Any]
    ) -> dict[str, str]:
        kinds = pb.PropertyDiff.Kind
        found = self.diff(type_, olds, inputs, news).detailedDiff
        return {path: kinds.Name(one.kind).lower().replace("_", "-") for path, one in found.items()}

    def read(
        self, type_: str, id_: str, inputs: dict[str, Any], olds: dict[str, Any], name: str = "x"
    ) -> dict[str, Any] | None:
        """The outputs as they are now."""
        return self.found(type_, id_, inputs, olds, name)[1]

    def found(
        self, type_: str, id_: str, inputs: dict[str, Any], olds: dict[str, Any], name: str = "x"
    ) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Inputs and outputs as they are now."""
        request = pb.ReadRequest(
            urn=self.urn(type_, name), id=id_, inputs=to_wire(inputs), properties=to_wire(olds)
        )
        answer = self.call("Read", request)
        return from_wire(answer.inputs), from_wire(answer.properties) if answer.id else None

    def update(self, type_: str, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        request = pb.UpdateRequest(urn=self.urn(type_), id=id_, olds=to_wire(olds), news=to_wire(news))
        found: dict[str, Any] = from_wire(self.call("Update", request).properties)
        return found

    def delete(self, type_: str, id_: str, olds: dict[str, Any]) -> None:
        self.call("Delete", pb.DeleteRequest(urn=self.urn(type_), id=id_, properties=to_wire(olds)))


def opened(values: dict[str, Any]) -> dict[str, Any]:
    """Values without the marks of secrets."""
    plain: dict[str, Any] = reveal(values)
    return plain


def container(plugin: Plugin, name: str, **inputs: Any) -> dict[str, Any]:
    """Checked inputs of a container on the base image."""
    given = {"name": PREFIX + name, "image": BASE, "command": ["sleep", "60"], **inputs}
    checked: dict[str, Any] = plugin.check(CONTAINER, given)
    return checked
