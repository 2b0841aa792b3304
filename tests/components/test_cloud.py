"""The managed parts on AWS, as they are wired together."""

from typing import Any

from tests.components.conftest import Graph


def of(graph: Graph, kind: str) -> dict[str, Any]:
    """Return the inputs of all resources of a type, by name."""
    return {one.name: one.inputs for one in graph.values() if one.type == kind}


def test_only_the_stacks_own_account_and_region_are_touched(cloud: Graph) -> None:
    (provider,) = of(cloud, "pulumi:providers:aws").values()
    assert provider["region"] == "eu-central-1"
    assert provider["allowedAccountIds"] == '["444455556666"]'


def test_everything_is_tagged_with_its_stack(cloud: Graph) -> None:
    (provider,) = of(cloud, "pulumi:providers:aws").values()
    assert '"stack":"prod"' in provider["defaultTags"].replace(" ", "")


def test_pods_have_the_rights_of_their_service_alone(cloud: Graph) -> None:
    found = of(cloud, "aws:eks/podIdentityAssociation:PodIdentityAssociation")
    mine = {one["serviceAccount"] for one in found.values() if one["namespace"] == "ollamamax"}
    assert {"migrations", "models", "worker-chat", "worker-code"} <= mine
    assert "gateway" not in mine
    assert "edge" not in mine


def test_images_are_pushed_to_the_stacks_own_registry(cloud: Graph) -> None:
    repositories = of(cloud, "aws:ecr/repository:Repository")
    for name, image in of(cloud, "docker:index/image:Image").items():
        host, _, rest = image["imageName"].partition("/")
        assert host == "444455556666.dkr.ecr.eu-central-1.amazonaws.com"
        assert f"ollamamax-prod/ollamamax-{name}" in {one["name"] for one in repositories.values()}, rest
        assert image["skipPush"] is False


def test_the_load_balancer_reaches_the_edge_and_nothing_else(cloud: Graph) -> None:
    bindings = of(cloud, "kubernetes:eks.amazonaws.com/v1:TargetGroupBinding").values()
    assert {one["spec"]["serviceRef"]["name"] for one in bindings} == {"edge"}


def test_the_load_balancer_lets_the_last_connection_of_an_edge_end(cloud: Graph) -> None:
    pod = cloud["kubernetes:apps/v1:Deployment::edge"].inputs["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "180"]
    groups = of(cloud, "aws:lb/targetGroup:TargetGroup").values()
    assert {group["deregistrationDelay"] for group in groups} == {180 + 600}
    assert pod["terminationGracePeriodSeconds"] >= 180 + 600


def test_services_start_once_there_are_nodes_for_them(cloud: Graph) -> None:
    namespace = cloud["kubernetes:core/v1:Namespace::namespace"]
    assert "kubernetes:karpenter.sh/v1:NodePool::pool-chat" in namespace.depends_on
