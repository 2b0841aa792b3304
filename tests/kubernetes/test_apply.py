"""A program's objects in a real API server: made, compared, changed and removed by the engine."""

import json
import re

from tests.kubernetes.stack import PLATFORM, Stack, get, patch, wait_for


def test_objects_are_applied_kept_and_removed_in_order(stack: Stack) -> None:
    stack.program(PLATFORM)
    said = stack.up().stdout
    assert "Resources:\n    + 5 created\n" in said
    assert stack.live("gateway")["status"]["availableReplicas"] == 2
    assert "5 unchanged" in stack.up("--expect-no-changes").stdout, (
        "nor by 0.5, which the server keeps as 500m"
    )
    patch(stack.plane, stack.path("gateway"), {"metadata": {"annotations": {"somebody": "else"}}})
    assert "Resources:\n    5 unchanged\n" in stack.run("refresh", "--yes").stdout, "nor what is not ours"
    assert stack.preview()["changeSummary"] == {"same": 5}
    namespace = stack.path("platform")
    said = stack.run("destroy", "--yes").stdout
    deleted = re.findall(r"kubernetes:\S+ (\S+) deleted", said)
    assert deleted.index("gateway") < deleted.index("settings") < deleted.index("platform")
    assert get(stack.plane, namespace) is None


def test_a_config_map_is_replaced_before_the_deployment_that_uses_it_is_updated(stack: Stack) -> None:
    stack.program(PLATFORM)
    stack.up()
    old, pods = stack.path("settings"), stack.live("gateway")["metadata"]["generation"]
    stack.program(PLATFORM.replace("MODE", "changed"))
    said = stack.up().stdout
    steps = re.findall(
        r"(?:ConfigMap settings|Deployment gateway) (created replacement|updated|deleted original)", said
    )
    assert steps == ["created replacement", "updated", "deleted original"]
    assert get(stack.plane, old) is None
    assert stack.live("settings")["data"] == {"mode": "changed"}
    used = stack.live("gateway")["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]
    assert used == {"name": stack.resources["settings"]["id"].rpartition("/")[2]}
    assert stack.live("gateway")["metadata"]["generation"] == pods + 1


def test_hand_made_drift_is_found_by_refresh_and_repaired_by_up(stack: Stack) -> None:
    stack.program(PLATFORM)
    stack.up()
    path = stack.path("gateway")
    changed = {"containers": [{"name": "gateway", "image": "other:2"}]}
    stack.plane.request(
        "patch", path, {"spec": {"template": {"spec": changed}}}, "application/strategic-merge-patch+json"
    )
    patch(stack.plane, path, {"metadata": {"annotations": {"somebody": "else"}}})  # not ours, and no drift
    assert "5 unchanged" in stack.run("preview").stdout, "nobody has looked yet"
    said = stack.run("refresh", "--yes").stdout
    assert re.search(r"Deployment gateway updated \(\S+\) \[diff: spec\]", said)
    assert "Resources:\n    ~ 1 updated\n    4 unchanged\n" in said
    step = next(one for one in stack.preview()["steps"] if one["op"] == "update")
    assert list(step["detailedDiff"]) == ["spec.template.spec.containers[0].image"]
    stack.up()
    live = stack.live("gateway")
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "reference:1"
    assert live["metadata"]["annotations"]["somebody"] == "else"
    assert "5 unchanged" in stack.up("--expect-no-changes").stdout


def test_what_changed_after_the_last_refresh_is_not_overwritten(stack: Stack) -> None:
    stack.program(PLATFORM)
    stack.up()
    patch(stack.plane, stack.path("front"), {"spec": {"selector": {"app": "by-hand"}}})
    stack.program(PLATFORM.replace('"port": 80,', '"port": 81,'))
    said = stack.up(status=1)
    assert "spec.selector.app changed since the last refresh (by " in said.stdout + said.stderr
    assert "run `refresh` to see that in a plan" in said.stdout + said.stderr
    assert stack.live("front")["spec"]["selector"] == {"app": "by-hand"}
    stack.run("refresh", "--yes")
    stack.up()
    assert stack.live("front")["spec"]["selector"] == {"app": "gateway"}
    assert stack.live("front")["spec"]["ports"][0]["port"] == 81


def test_an_object_that_was_deleted_by_hand_is_made_again(stack: Stack) -> None:
    stack.program(PLATFORM)
    stack.up()
    stack.plane.request("delete", stack.path("front"))
    stack.run("refresh", "--yes")
    assert "+ 1 created" in stack.up().stdout
    assert stack.live("front")


def test_replicas_that_an_autoscaler_sets_are_fought_by_nobody(stack: Stack) -> None:
    program = (
        PLATFORM
        + """
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": gateway.metadata.name}
    k8s.autoscaling.v2.HorizontalPodAutoscaler("scaler", metadata=meta, spec={
        "scaleTargetRef": target, "minReplicas": 4, "maxReplicas": 9,
    })
    """
    )
    stack.program(program)
    stack.up()
    wait_for(lambda: stack.live("gateway")["spec"]["replicas"] == 4)  # the HPA's own doing
    stack.run("refresh", "--yes")
    assert "6 unchanged" in stack.up("--expect-no-changes").stdout
    stack.program(program.replace("reference:1", "reference:2"))
    assert "~ 1 updated" in stack.up().stdout
    assert stack.live("gateway")["spec"]["replicas"] == 4


def test_a_custom_resource_and_its_definition_come_in_one_program(stack: Stack) -> None:
    stack.program("""
    schema = {"type": "object", "x_kubernetes_preserve_unknown_fields": True}
    names = {"plural": "lamps", "singular": "lamp", "kind": "Lamp"}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": {"open_apiv3_schema": schema}}]
    k8s.apiextensions.v1.CustomResourceDefinition("lamps", metadata={"name": "lamps.example.org"}, spec={
        "group": "example.org", "names": names, "scope": "Cluster", "versions": versions,
    })
    k8s.apiextensions.CustomResource(
        "lamp", api_version="example.org/v1", kind="Lamp", metadata={"name": "lamp"},
        spec={"on": True, "watts": 7},
    )
    """)
    assert stack.preview()["changeSummary"] == {"create": 3}
    stack.up()
    assert get(stack.plane, "/apis/example.org/v1/lamps/lamp")["spec"] == {"on": True, "watts": 7}
    assert stack.preview()["changeSummary"] == {"same": 3}
    stack.run("refresh", "--yes")
    assert "3 unchanged" in stack.up("--expect-no-changes").stdout
    stack.run("destroy", "--yes")
    assert (
        get(stack.plane, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/lamps.example.org") is None
    )


def test_secrets_are_nowhere_in_the_open(stack: Stack) -> None:
    stack.program("""
    word = pulumi.Output.secret("open-sesame-7")
    meta = {"namespace": k8s.core.v1.Namespace("vault").metadata.name}
    k8s.core.v1.Secret("token", metadata=meta, string_data={"token": word})
    k8s.core.v1.ConfigMap("settings", metadata=meta, data={"url": pulumi.Output.concat("https://", word)})
    """)
    plan, said = json.dumps(stack.preview()), stack.up().stdout
    refreshed = stack.run("refresh", "--yes").stdout
    for text in (plan, said, refreshed, stack.state_file.read_text()):
        assert "open-sesame-7" not in text
        assert "b3Blbi1zZXNhbWUtNw" not in text
    assert stack.live("token")["data"] == {"token": "b3Blbi1zZXNhbWUtNw=="}
    assert "4 unchanged" in stack.up("--expect-no-changes").stdout
