"""The program's graph in the simulated cloud, which checks what it asks for and knows what is there."""

from collections.abc import Callable
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc

from engine.provider import Context, Provider
from engine.simulated.cloud import Cloud
from engine.simulated.provider import AwsProvider, CloudflareProvider
from tests.components.conftest import IMAGE, Graph, Made, Recorder

DIGEST = f"sha256:{'0' * 64}"


class Simulated(Made):
    """Answers as the simulated cloud does, and refuses what it would; of the rest it makes nothing."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__({})
        self._packages: dict[str, Provider] = {
            "aws": AwsProvider(cloud),
            "cloudflare": CloudflareProvider(cloud),
        }

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        inputs = _plain(args.inputs)
        head, _, rest = args.typ.partition(":")
        if head == "pulumi" and (package := self._packages.get(rest.removeprefix("providers:"))):
            package.configure(inputs)
        if head not in self._packages:
            id_, outputs = super().new_resource(args)
            name = str(inputs.get("imageName", "")).rpartition(":")[0]
            pushed = {"repoDigest": f"{name}@{DIGEST}"} if args.typ == IMAGE else {}
            return id_, outputs | pushed
        kind = self._packages[head].resource(args.typ)
        context = Context(f"urn:pulumi:test::test::{args.typ}::{args.name}")
        return kind.create(context, kind.check(context, {}, inputs, b""))


def record_in_the_cloud(build: Callable[[], object], stack: str) -> tuple[Graph, Cloud]:
    """Run ``build`` in an empty cloud; return its settled graph, and what the cloud then has."""
    cloud, recorder = Cloud(None, lambda *_: None), Recorder()
    recorder.mocks = Simulated(cloud)
    mocks.set_mocks(recorder.mocks, project="ollamamax", stack=stack, monitor=recorder)
    pulumi.runtime.test(lambda: build() and None)()  # type: ignore[no-untyped-call]
    return recorder.graph, cloud


def _plain(value: Any) -> Any:
    """Return a value with whole numbers whole, which they are not on the wire, and secrets as they are."""
    match value:
        case {rpc._special_sig_key: rpc._special_secret_sig}:
            return _plain(value["value"])
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case float() if value.is_integer():
            return int(value)
    return value
