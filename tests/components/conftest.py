"""The program's resource graph, recorded without any engine or cloud."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pulumi
import pytest
from google.protobuf import json_format
from pulumi.runtime import mocks, rpc
from pulumi.runtime.proto import resource_pb2

from components.platform import Platform
from stacks.loading import parse, read

ROOT = Path(__file__).parents[2]
SECRET = "[secret]"
CONTAINER = "docker:index/container:Container"
IMAGE = "docker:index/image:Image"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"
JOBS = {"migrations-1", "models-1"}
"""The containers that run to completion."""
CARRIER = "-files"
"""How the names of the containers end that carry a service's files into a volume."""
MANAGED: dict[str, dict[str, Any]] = {
    "cluster": {
        "certificateAuthority": {"data": "CLUSTER CA"},
        "endpoint": "https://cluster.example",
        "vpcConfig": {"clusterSecurityGroupId": "sg-cluster"},
    },
    "database": {"address": "database.example", "masterUserSecrets": [{"secretArn": "arn:secret"}]},
    "cache": {"primaryEndpointAddress": "cache.example"},
}
"""What AWS answers about managed parts, by the resource's name."""
_TAG = re.compile(r"(ollamamax-[a-z]+):[0-9a-f]{12}\b")


@dataclass(frozen=True)
class Registered:
    """A resource as the program registered it; secret inputs show as ``SECRET``."""

    type: str
    name: str
    urn: str
    parent: str
    """Key of its parent in the graph; empty for the outermost."""
    depends_on: tuple[str, ...]
    """Keys of what it depends on."""
    delete_before_replace: bool
    protect: bool
    """Whether an update may neither delete nor replace it."""
    provider: str
    """Key of the provider that it was told to use; empty for the default one."""
    version: str
    """Version of the plugin that it asks for."""
    ignore_changes: tuple[str, ...]
    """Properties that stay as they are once it is there."""
    retain_on_delete: bool
    """Whether it stays when the program no longer has it."""
    inputs: dict[str, Any]

    @property
    def key(self) -> str:
        return f"{self.type}::{self.name}"

    @property
    def env(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for pair in self.inputs.get("envs", []))

    @property
    def labels(self) -> dict[str, str]:
        return {label["label"]: label["value"] for label in self.inputs["labels"]}


class Graph(dict[str, Registered]):
    """All resources of a program, by type and name."""

    def of_type(self, kind: str) -> list[Registered]:
        return sorted((one for one in self.values() if one.type == kind), key=lambda one: one.name)

    def container(self, name: str) -> Registered:
        return self[f"{CONTAINER}::{name}"]

    @property
    def containers(self) -> list[Registered]:
        """The containers that run; not those that only carry files into a volume."""
        return [one for one in self.of_type(CONTAINER) if not one.name.endswith(CARRIER)]

    @property
    def carriers(self) -> list[Registered]:
        """The containers that only carry a service's files into its volume."""
        return [one for one in self.of_type(CONTAINER) if one.name.endswith(CARRIER)]

    def files(self, service: str) -> dict[str, str]:
        """Return path → content of the files of a service."""
        carrier = self.get(f"{CONTAINER}::{service}{CARRIER}")
        uploads = carrier.inputs["uploads"] if carrier else []
        return {upload["file"]: upload["content"] for upload in uploads}


class Made(mocks.Mocks):
    """Answers every registration with its own inputs and what a provider would add."""

    def __init__(self, provided: Mapping[str, dict[str, Any]]) -> None:
        self._provided = provided

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        made: dict[str, dict[str, Any]] = {
            "random:index/randomPassword:RandomPassword": {
                "result": f"SECRET-{args.name}",
                "bcryptHash": f"SECRET-hash-{args.name}",
            },
            "tls:index/privateKey:PrivateKey": {"privateKeyPem": f"SECRET-key-{args.name}"},
            "tls:index/selfSignedCert:SelfSignedCert": {"certPem": f"CERTIFICATE {args.name}"},
            "tls:index/certRequest:CertRequest": {"certRequestPem": f"REQUEST {args.name}"},
            "tls:index/locallySignedCert:LocallySignedCert": {"certPem": f"CERTIFICATE {args.name}"},
            "aws:ec2/eip:Eip": {"allocationId": f"{args.name}-allocation"},
            "aws:eks/cluster:Cluster": {
                "endpoint": f"https://{args.name}.eks.mock",
                "certificateAuthority": {"data": "Q0E="},
                "vpcConfig": {**args.inputs.get("vpcConfig", {}), "clusterSecurityGroupId": "sg-cluster"},
            },
            "aws:acm/certificate:Certificate": {
                "domainValidationOptions": [
                    {
                        "resourceRecordName": f"_proof.{args.name}",
                        "resourceRecordType": "CNAME",
                        "resourceRecordValue": "_proof.example",
                    }
                ]
            },
            "aws:kms/key:Key": {"keyId": f"{args.name}-id"},
            "aws:route53/zone:Zone": {"zoneId": f"{args.name}-zone"},
        }
        arn = {"arn": f"arn:aws:mock:::{args.name}"} if args.typ.startswith("aws:") else {}
        added = arn | made.get(args.typ, {}) | self._provided.get(args.name, {})
        return f"{args.name}-id", {**args.inputs, **added}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        if args.token == "aws:ecr/getAuthorizationToken:getAuthorizationToken":
            return {"userName": "AWS", "password": "SECRET-token"}, []
        raise AssertionError(f"the program calls {args.token}: a plan must not depend on the machine")


class Recorder(mocks.MockMonitor):
    """Keeps every registration, and makes those outputs secret that the SDKs declare so."""

    def __init__(self, provided: Mapping[str, dict[str, Any]] | None = None) -> None:
        super().__init__(Made(provided or {}))
        self.graph = Graph()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Return the URN as engines make it; the mocks know of one ancestor only."""
        ancestors = parent.split("::")[2] if _key(parent) else ""
        types = f"{ancestors}${type_}" if ancestors else type_
        return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{types}::{name}"

    def RegisterResource(  # noqa: N802 - the name on the wire
        self, request: resource_pb2.RegisterResourceRequest
    ) -> resource_pb2.RegisterResourceResponse:
        response: resource_pb2.RegisterResourceResponse = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type == "pulumi:pulumi:Stack":
            return response
        for name in request.additionalSecretOutputs:
            if name in response.object.fields:
                plain = json_format.MessageToDict(response.object.fields[name])
                response.object.fields[name].struct_value.update(
                    {rpc._special_sig_key: rpc._special_secret_sig, "value": plain}
                )
        found = Registered(
            type=request.type,
            name=request.name,
            urn=response.urn,
            parent=_key(request.parent),
            depends_on=tuple(sorted({_key(urn) for urn in request.dependencies})),
            delete_before_replace=request.deleteBeforeReplace,
            protect=request.protect,
            provider=_key(request.provider.rpartition("::")[0]),
            version=request.version,
            ignore_changes=tuple(request.ignoreChanges),
            retain_on_delete=request.retainOnDelete,
            inputs=_plain(json_format.MessageToDict(request.object)),
        )
        assert found.key not in self.graph, f"{found.key} is registered twice"
        self.graph[found.key] = found
        return response


class Plan(Protocol):
    """From raw settings to the settled graph of the program.

    ``provided`` holds what providers answer beyond a resource's inputs, by the resource's name.
    """

    def __call__(
        self, stack: str = "local", provided: Mapping[str, dict[str, Any]] | None = None, **raw: Any
    ) -> Graph: ...


def record_of(
    build: Callable[[], object], stack: str = "local", provided: Mapping[str, dict[str, Any]] | None = None
) -> Graph:
    """Run ``build``, a program that registers resources, and return its settled graph."""
    recorder = Recorder(provided)
    mocks.set_mocks(recorder.mocks, project="ollamamax", stack=stack, monitor=recorder)
    pulumi.runtime.test(lambda: build() and None)()  # type: ignore[no-untyped-call]
    return recorder.graph


def record(stack: str = "local", provided: Mapping[str, dict[str, Any]] | None = None, **raw: Any) -> Graph:
    """Run the program for ``stack`` with these settings and return its graph."""
    settings = parse({"target": "docker", **raw}, stack)
    return record_of(lambda: Platform("platform", settings, "0.0.0"), stack, provided)


@pytest.fixture
def plan() -> Plan:
    """Return a function from raw settings to the settled resource graph of the program."""
    return record


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a copy of the images' sources: an edit while tests run changes no graph."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "docker", folder / "docker")
    return folder


@pytest.fixture(autouse=True)
def _in_the_copy(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(images)


@pytest.fixture(scope="session")
def local(images: Path) -> Graph:
    """Return the graph of stack ``local`` with all defaults."""
    with chdir(images):
        return record()


@pytest.fixture(scope="session")
def cluster(images: Path) -> Graph:
    """Return the graph of a stack on a cluster that exists."""
    drain = {"drainTimeoutS": 620}
    with chdir(images):
        return record(
            "somewhere", target="kubernetes", kubernetes={"context": "somewhere"}, gateway=drain, edge=drain
        )


@pytest.fixture(scope="session")
def cloud(images: Path) -> Graph:
    """Return the graph of stack ``prod``."""
    settings = read(ROOT / "stacks" / "Pulumi.prod.yaml", "prod")
    with chdir(images):
        return record_of(lambda: Platform("platform", settings, "0.0.0"), "prod", MANAGED)


def without_tags(text: str) -> str:
    """Replace the content hashes of images: a changed source is no change of the graph."""
    return _TAG.sub(r"\1:TAG", text)


def strings(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value, keys included."""
    match value:
        case str():
            yield value
        case dict():
            for key, inner in value.items():
                yield key
                yield from strings(inner)
        case list():
            for inner in value:
                yield from strings(inner)


def _key(urn: str) -> str:
    """Return a URN's type and name; empty for the stack itself."""
    if not urn or "::pulumi:pulumi:Stack::" in urn:
        return ""
    *_, types, name = urn.split("::")
    return f"{types.rpartition('$')[2]}::{name}"


def _plain(value: Any) -> Any:
    """Return a JSON value with whole numbers whole and secrets covered."""
    match value:
        case {rpc._special_sig_key: rpc._special_secret_sig}:
            return SECRET
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case float() if value.is_integer():
            return int(value)
    return value
