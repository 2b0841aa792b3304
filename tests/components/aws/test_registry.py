"""The image registry in the graph."""

import json

import pulumi

from components.aws.account import Account
from components.aws.registry import Registry, RegistryArgs
from tests.components.aws.conftest import of
from tests.components.conftest import Graph, record_of

IMAGES = ["ollamamax-gateway", "ollamamax-edge"]
HOST = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"


def made(account: Account) -> Graph:
    return record_of(lambda: Registry("registry", RegistryArgs(account, IMAGES)))


def test_each_image_has_a_repository_whose_tags_never_move(account: Account) -> None:
    repositories = of(made(account), "ecr/repository:Repository")
    assert sorted(one.inputs["name"] for one in repositories.values()) == [
        "ollamamax-prod/ollamamax-edge",
        "ollamamax-prod/ollamamax-gateway",
    ]
    for one in repositories.values():
        assert one.inputs["imageTagMutability"] == "IMMUTABLE"
        assert one.inputs["imageScanningConfiguration"] == {"scanOnPush": True}
        assert one.inputs["encryptionConfigurations"] == [
            {"encryptionType": "KMS", "kmsKey": "arn:aws:mock:::registry-key"}
        ]


def test_the_newest_images_are_never_deleted(account: Account) -> None:
    policies = of(made(account), "ecr/lifecyclePolicy:LifecyclePolicy")
    assert sorted(policies) == sorted(IMAGES)
    for policy in policies.values():
        (rule,) = json.loads(policy.inputs["policy"])["rules"]
        assert rule["selection"]["countType"] == "imageCountMoreThan"
        assert rule["selection"]["countNumber"] >= 20, "a release that is weeks old can be taken back to"


def test_images_of_others_are_cached(account: Account) -> None:
    graph = made(account)
    rules = of(graph, "ecr/pullThroughCacheRule:PullThroughCacheRule")
    assert {
        one.inputs["ecrRepositoryPrefix"]: one.inputs["upstreamRegistryUrl"] for one in rules.values()
    } == {
        "ollamamax-prod/aws": "public.ecr.aws",
        "ollamamax-prod/k8s": "registry.k8s.io",
        "ollamamax-prod/quay": "quay.io",
    }


def test_a_cached_image_has_the_name_that_its_rule_gives_it(account: Account) -> None:
    found: list[str] = []

    def program() -> None:
        registry = Registry("registry", RegistryArgs(account, IMAGES))
        found.extend(map(registry.mirrored, ["quay.io/team/one:v1", "docker.io/library/two:v2"]))

    record_of(program)
    assert found == [f"{HOST}/ollamamax-prod/quay/team/one:v1", "docker.io/library/two:v2"]


def test_every_push_is_scanned_even_after_another_stack_of_the_account_is_gone(account: Account) -> None:
    (scanning,) = of(
        made(account), "ecr/registryScanningConfiguration:RegistryScanningConfiguration"
    ).values()
    (rule,) = scanning.inputs["rules"]
    assert rule["scanFrequency"] == "SCAN_ON_PUSH"
    assert rule["repositoryFilters"] == [{"filter": "*", "filterType": "WILDCARD"}]
    assert scanning.retain_on_delete


def test_images_are_pushed_with_a_secret_password(account: Account) -> None:
    found: list[object] = []

    async def secret(value: pulumi.Output[str]) -> None:
        found.append(await value.is_secret())

    def program() -> pulumi.Output[object]:
        registry = Registry("registry", RegistryArgs(account, IMAGES))
        assert registry.prefix == f"{HOST}/ollamamax-prod"
        known = pulumi.Output.all(registry.username, registry.password).apply(found.extend)
        return known.apply(lambda _: secret(registry.password))

    record_of(program)
    assert found == ["AWS", "SECRET-token", True]
