"""The workers and their models, with a target that only remembers what it is given."""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_random as random
import yaml

from components import models, serving, worker
from components.service import Placed, Service, Workers
from stacks.loading import parse
from tests.components.conftest import ROOT, record_of

CLUSTER = {
    "target": "kubernetes",
    "kubernetes": {"context": "mine"},
    "longestStreamS": 20,
    "longestGenerationS": 20,
}
EXAMPLE = ROOT / "docs" / "examples" / "Pulumi.existing-cluster.yaml"


class Remembering:
    """A target that places nothing."""

    def __init__(self) -> None:
        self.placed: dict[str, Service] = {}
        self.after: dict[str, list[str]] = {}
        self._names: dict[pulumi.Resource, str] = {}

    def place(
        self, service: Service, parent: pulumi.Resource, after: Sequence[pulumi.Resource] = ()
    ) -> Placed:
        stands_for = random.RandomPet(f"of-{service.name}", opts=pulumi.ResourceOptions(parent=parent))
        self.placed[service.name] = service
        self.after[service.name] = [self._names[one] for one in after]
        self._names[stands_for] = service.name
        return Placed([stands_for], [])

    def lead(self, name: str, service: Service, parent: pulumi.Resource) -> Sequence[pulumi.Resource]:
        return []

    def addresses(self, service_name: str, replicas: int) -> Sequence[str]:
        return [service_name]


def placed(settings: dict[str, Any]) -> tuple[Remembering, Sequence[Workers]]:
    target, found = Remembering(), list[Workers]()

    def build() -> None:
        workers, _, _ = serving.place(parse(settings, "test"), target, pulumi.ResourceOptions())
        found.extend(workers)

    record_of(build, "test", {})
    return target, found


def test_on_one_machine_workers_come_first_and_have_their_models_brought() -> None:
    target, workers = placed({"target": "docker", "models": ["tiny"], "worker": {"replicas": 2}})
    assert target.after == {worker.NAME: [], models.NAME: [worker.NAME]}
    assert [one.host for one in workers] == list(worker.hosts(parse({"target": "docker"}, "test").worker))


def test_on_a_cluster_the_store_is_filled_before_the_workers_that_read_it() -> None:
    target, workers = placed(CLUSTER | {"models": ["tiny"]})
    assert target.after == {models.NAME: [], worker.NAME: [models.NAME]}
    assert target.placed[models.NAME].command == ("tiny",)
    assert [one.host for one in workers] == [f"{worker.NAME}:{worker.PORT}"]


def test_the_store_has_what_any_pool_serves_once() -> None:
    config = yaml.safe_load(EXAMPLE.read_text())["config"]
    settings = {name.removeprefix("ollamamax:"): value for name, value in config.items()}
    (chat,) = settings["gpuPools"]
    settings["gpuPools"] = [chat, chat | {"name": "code"}]
    target, workers = placed(settings)
    assert target.placed[models.NAME].command == ("llama3.2:3b",)
    assert [one.host for one in workers] == ["worker-chat:11434", "worker-code:11434"]
    assert target.after["worker-code"] == [models.NAME]
