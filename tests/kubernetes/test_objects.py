"""What the provider makes of objects, as the plugin does, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from engine.providers.kubernetes import KubernetesProvider
from engine.values import UNKNOWN, Secret, from_wire, to_wire
from rehearsal.controlplane import ControlPlane
from tests.engine.providers.harness import Failed, Plugin
from tests.kubernetes.stack import get, wait_for

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"


def config_map(namespace: str, name: str = "settings", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "data": data}


def preview(plugin: Plugin, type_: str, inputs: dict[str, Any]) -> Any:
    request = pb.CreateRequest(urn=plugin.urn(type_), properties=to_wire(inputs), preview=True)
    return from_wire(plugin.call("Create", request).properties)


def failing(plugin: Plugin, type_: str, inputs: dict[str, Any], name: str = "x") -> str:
    with pytest.raises(Failed) as caught:
        plugin.create(type_, plugin.check(type_, inputs, name=name), name)
    return str(caught.value)


def test_a_name_is_drawn_once_and_marked(plugin: Plugin) -> None:
    first = plugin.check(CONFIG_MAP, {"data": {"a": "b"}}, name="settings")
    assert first["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    assert first["metadata"]["name"].startswith("settings-")
    assert len(first["metadata"]["name"]) == len("settings-") + 8
    assert (
        plugin.check(CONFIG_MAP, {"data": {"a": "c"}}, first, name="other")["metadata"] == first["metadata"]
    )
    given = plugin.check(CONFIG_MAP, {"metadata": {"name": "mine"}}, first)
    assert given["metadata"] == {"name": "mine", "namespace": "default"}
    unknown = plugin.check(CONFIG_MAP, {"metadata": UNKNOWN})
    assert unknown["metadata"] == UNKNOWN


def test_what_is_in_no_namespace_gets_none(plugin: Plugin) -> None:
    assert "namespace" not in plugin.check("kubernetes:core/v1:Namespace", {})["metadata"]
    role = plugin.check("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", {})
    assert "namespace" not in role["metadata"]


def test_a_change_of_an_immutable_field_replaces_as_the_plugin_has_it(plugin: Plugin, namespace: str) -> None:
    drawn = plugin.check(CONFIG_MAP, {"metadata": {"namespace": namespace}, "data": {"a": "b"}})
    _, outputs = plugin.create(CONFIG_MAP, drawn)
    found = plugin.diff(CONFIG_MAP, outputs, drawn, drawn | {"data": {"a": "c"}})
    assert list(found.replaces) == ["data.a"]
    assert not found.deleteBeforeReplace, "its next name is another one"
    given = plugin.check(CONFIG_MAP, config_map(namespace, a="b"))
    _, outputs = plugin.create(CONFIG_MAP, given)
    assert plugin.diff(CONFIG_MAP, outputs, given, given | {"data": {"a": "c"}}).deleteBeforeReplace
    moved = config_map("default", a="b")
    found = plugin.diff(CONFIG_MAP, outputs, given, given | moved)
    assert list(found.replaces) == ["metadata.namespace"]
    assert not found.deleteBeforeReplace, "it can stand beside the old one"
    labelled = given | {"metadata": given["metadata"] | {"labels": {"a": "b"}}}
    assert plugin.changes(CONFIG_MAP, outputs, given, labelled) == {"metadata.labels": "add"}


def test_maps_may_be_mutable(plane: ControlPlane, namespace: str) -> None:
    mutable = Plugin(KubernetesProvider())
    settings = {"kubeconfig": plane.kubeconfig.read_text(), "enableConfigMapMutable": "true"}
    mutable.call("Configure", pb.ConfigureRequest(args=to_wire(settings), acceptSecrets=True))
    given = mutable.check(CONFIG_MAP, config_map(namespace, a="b"))
    id_, outputs = mutable.create(CONFIG_MAP, given)
    changed = given | {"data": {"a": "c"}}
    assert mutable.changes(CONFIG_MAP, outputs, given, changed) == {"data.a": "update"}
    assert mutable.update(CONFIG_MAP, id_, outputs, changed)["data"] == {"a": "c"}
    mutable.close()


def test_a_field_that_the_program_no_longer_has_goes(
    plugin: Plugin, plane: ControlPlane, namespace: str
) -> None:
    inputs = plugin.check(CONFIG_MAP, config_map(namespace, a="b"))
    inputs["metadata"]["labels"] = {"a": "b", "c": "d"}
    id_, outputs = plugin.create(CONFIG_MAP, inputs)
    inputs["metadata"]["labels"] = {"a": "b"}
    assert plugin.update(CONFIG_MAP, id_, outputs, inputs)["metadata"]["labels"] == {"a": "b"}


def test_what_somebody_else_created_is_left_alone(
    plugin: Plugin, plane: ControlPlane, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    plane.request("post", path, {"metadata": {"name": "settings"}, "data": {"whose": "theirs"}})
    expected = (
        f"ConfigMap {namespace}/settings exists already, and this stack did not create it: give it another"
    )
    assert expected in failing(plugin, CONFIG_MAP, config_map(namespace, whose="ours"))
    with pytest.raises(Failed, match="exists already"):  # a preview says so, too
        preview(plugin, CONFIG_MAP, plugin.check(CONFIG_MAP, config_map(namespace, whose="ours")))
    assert get(plane, f"{path}/settings")["data"] == {"whose": "theirs"}
    assert plugin.read(CONFIG_MAP, "settings", plugin.check(CONFIG_MAP, config_map(namespace)), {}) is None


def test_an_object_is_imported_with_what_the_program_says_of_it(
    plugin: Plugin, plane: ControlPlane, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    plane.request("post", path, {"metadata": {"name": "settings"}, "data": {"a": "b"}})
    live = plugin.read(CONFIG_MAP, f"{namespace}/settings", {}, {})
    assert live is not None
    same = plugin.check(CONFIG_MAP, config_map(namespace, a="b"))
    assert plugin.changes(CONFIG_MAP, live, {}, same) == {}
    labelled = same | {"metadata": same["metadata"] | {"labels": {"a": "b"}}}
    assert plugin.changes(CONFIG_MAP, live, {}, labelled) == {"metadata.labels": "add"}
    assert plugin.update(CONFIG_MAP, f"{namespace}/settings", live, labelled)["metadata"]["labels"] == {
        "a": "b"
    }


def test_a_preview_is_validated_by_the_api_server(
    plugin: Plugin, plane: ControlPlane, namespace: str
) -> None:
    planned = preview(plugin, CONFIG_MAP, plugin.check(CONFIG_MAP, config_map(namespace, a="b")))
    assert planned["metadata"]["uid"]
    assert get(plane, f"/api/v1/namespaces/{namespace}/configmaps/settings") is None
    typo = plugin.check(CONFIG_MAP, config_map(namespace) | {"dta": {"a": "b"}})
    with pytest.raises(Failed, match=r"\.dta: field not declared in schema"):
        preview(plugin, CONFIG_MAP, typo)
    incomplete = {"metadata": {"name": "web", "namespace": namespace}, "spec": {"replicas": 1}}
    with pytest.raises(
        Failed, match=r"Deployment .*/web could not be applied: .*spec\.selector: Required value"
    ):
        preview(plugin, DEPLOYMENT, plugin.check(DEPLOYMENT, incomplete))
    unborn = plugin.check(CONFIG_MAP, config_map("not-there-yet", a="b"))
    assert preview(plugin, CONFIG_MAP, unborn) == unborn
    no_kind = plugin.check("kubernetes:example.org/v9:Thing", {"metadata": {"name": "thing"}})
    assert preview(plugin, "kubernetes:example.org/v9:Thing", no_kind) == no_kind
    half_known = plugin.check(CONFIG_MAP, config_map(namespace, a=UNKNOWN))
    assert preview(plugin, CONFIG_MAP, half_known) == half_known


def test_what_the_cli_made_can_be_replaced_under_its_name(
    plugin: Plugin, plane: ControlPlane, namespace: str
) -> None:
    before = plugin.check(CONFIG_MAP, config_map(namespace, a="b"))
    after = plugin.check(CONFIG_MAP, config_map(namespace, a="c"))
    drawn = "pulumi-kubernetes-cd1a53a3"
    path = f"/api/v1/namespaces/{namespace}/configmaps/settings?fieldManager={drawn}"
    made = plane.request("patch", path, before, "application/apply-patch+yaml")
    with pytest.raises(Failed, match="exists already, and this stack did not create it"):
        preview(plugin, CONFIG_MAP, after)
    recorded = {**made, "__inputs": before, "__fieldManager": drawn}
    assert plugin.diff(CONFIG_MAP, recorded, before, after).deleteBeforeReplace
    assert preview(plugin, CONFIG_MAP, after)["data"] == {"a": "c"}


def test_an_immutable_field_that_no_table_lists_is_explained(plugin: Plugin, namespace: str) -> None:
    inputs = plugin.check(CONFIG_MAP, config_map(namespace, a="b") | {"immutable": True})
    id_, outputs = plugin.create(CONFIG_MAP, inputs)
    with pytest.raises(
        Failed, match="field is immutable when `immutable` is set; replace it with the option"
    ):
        plugin.update(CONFIG_MAP, id_, outputs, inputs | {"data": {"a": "c"}})


def test_fields_that_are_ignored_stay_whose_they_are(
    plugin: Plugin, plane: ControlPlane, namespace: str
) -> None:
    notes = {"ours": "1", "shared": "1"}
    inputs = plugin.check(CONFIG_MAP, config_map(namespace, a="b"))
    inputs["metadata"]["annotations"] = notes
    id_, outputs = plugin.create(CONFIG_MAP, inputs)
    path = f"/api/v1/namespaces/{namespace}/configmaps/settings"
    theirs = {"metadata": {"annotations": {"shared": "2"}}}
    plane.request("patch", path, theirs, "application/merge-patch+json")
    inputs["metadata"]["labels"] = {"a": "b"}
    request = pb.UpdateRequest(
        urn=plugin.urn(CONFIG_MAP), id=id_, olds=to_wire(outputs), news=to_wire(inputs),
        ignoreChanges=['metadata.annotations["shared"]'],
    )  # fmt: skip
    plugin.call("Update", request)
    live = get(plane, path)
    assert live["metadata"]["annotations"] == {"ours": "1", "shared": "2"}
    assert live["metadata"]["labels"] == {"a": "b"}


def test_secrets_stay_secret_wherever_they_are(plugin: Plugin, namespace: str) -> None:
    type_, meta = "kubernetes:core/v1:Secret", {"name": "token", "namespace": namespace}
    inputs = plugin.check(type_, {"metadata": meta, "stringData": {"token": Secret("abc")}})
    assert inputs["data"] == Secret({"token": "YWJj"})
    id_, outputs = plugin.create(type_, inputs)
    assert isinstance(outputs["data"], Secret)
    assert isinstance(outputs["__inputs"]["data"], Secret)
    env = [{"name": "TOKEN", "value": Secret("abcd")}]
    spec = {"containers": [{"name": "main", "image": "x", "env": env}]}
    pod = plugin.check("kubernetes:core/v1:Pod", {"metadata": meta, "spec": spec})
    planned = preview(plugin, "kubernetes:core/v1:Pod", pod)
    assert isinstance(planned["spec"]["containers"], Secret)
    assert isinstance(planned["__inputs"]["spec"]["containers"], Secret)
    request = pb.ReadRequest(
        urn=plugin.urn(type_, "x"), id=id_, inputs=to_wire(inputs), properties=to_wire(outputs)
    )
    answer = plugin.call("Read", request)
    assert isinstance(from_wire(answer.inputs)["data"], Secret)
    assert isinstance(from_wire(answer.properties)["data"], Secret)


@pytest.mark.parametrize(
    "token",
    ["kubernetes:helm.sh/v3:Release", "kubernetes:apps/v1:DeploymentPatch", "kubernetes:yaml:ConfigFile"],
)
def test_what_needs_the_plugin_is_refused(plugin: Plugin, token: str) -> None:
    with pytest.raises(
        Failed, match=f"{token} is not supported by the embedded engine: needs the Pulumi CLI"
    ):
        plugin.check(token, {})


def test_settings_are_taken_or_refused(plugin: Plugin) -> None:
    def check(**settings: Any) -> None:
        plugin.call("CheckConfig", pb.CheckRequest(urn="urn", news=to_wire(settings)))

    check(kubeconfig="x", context="x", cluster="x", namespace="x", suppressHelmHookWarnings="true")
    with pytest.raises(Failed, match="renderYamlToDirectory is not supported by the embedded engine"):
        check(renderYamlToDirectory="x")
    with pytest.raises(Failed, match="enableServerSideApply false is not supported by the embedded engine"):
        plugin.call("Configure", pb.ConfigureRequest(args=to_wire({"enableServerSideApply": "false"})))


UNREACHABLE = (
    "cannot reach the API server of https://127.0.0.1:1 (context rehearsal of the provider's kubeconfig): "
    "Connection refused; start it, or check the server, certificates and context of the kubeconfig"
)
EXPIRED = "does not accept the credentials (401 Unauthorized): they may have expired; renew them"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kubeconfig": "/not/there"}, "kubeconfig /not/there does not exist"),
        ({"kubeconfig": "a: [\n"}, "the provider's kubeconfig is not YAML: while parsing a flow node"),
        ({"kubeconfig": "{}"}, "the provider's kubeconfig: there is no context '': it has none"),
        ({"kubeconfig": "- a\n- b\n"}, "the provider's kubeconfig is no kubeconfig: it must hold a mapping"),
        ({"context": "prod"}, "there is no context 'prod': it has rehearsal"),
        ({"cluster": "prod"}, "there is no cluster 'prod': it has rehearsal"),
        ({"server": "https://127.0.0.1:1"}, UNREACHABLE),
        ({"expired": "yes"}, EXPIRED),
        ({"stranger": "yes"}, "unable to get local issuer certificate (_ssl.c:"),
    ],
)  # fmt: skip
def test_a_cluster_that_cannot_be_used_is_one_clear_message(
    plane: ControlPlane, settings: dict[str, str], message: str
) -> None:
    document = json.loads(plane.kubeconfig.read_text())
    if server := settings.pop("server", ""):
        document["clusters"][0]["cluster"]["server"] = server
    if settings.pop("expired", ""):
        document["users"][0]["user"] = {"token": "no-longer-valid"}
    if settings.pop("stranger", ""):
        document["clusters"][0]["cluster"].pop("certificate-authority-data")
    served = Plugin(KubernetesProvider())
    args = struct_pb2.Struct()
    args.update({"kubeconfig": json.dumps(document), **settings})
    served.call("Configure", pb.ConfigureRequest(args=args, acceptSecrets=True))
    type_ = "kubernetes:core/v1:Namespace"
    with pytest.raises(Failed) as caught:
        served.create(type_, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}})
    served.close()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_replicas_are_an_autoscalers_only_while_there_is_one(
    plugin: Plugin, plane: ControlPlane, namespace: str
) -> None:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    inputs = plugin.check(DEPLOYMENT, {"metadata": {"name": "web", "namespace": namespace}, "spec": spec})
    id_, outputs = plugin.create(DEPLOYMENT, inputs)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web/scale"
    plane.request("patch", path, {"spec": {"replicas": 2}}, "application/merge-patch+json")

    def replicas() -> int:
        request = pb.ReadRequest(
            urn=plugin.urn(DEPLOYMENT), id=id_, inputs=to_wire(inputs), properties=to_wire(outputs)
        )
        return int(from_wire(plugin.call("Read", request).inputs)["spec"]["replicas"])

    assert replicas() == 2, "somebody's hand: drift"
    scaler: dict[str, Any] = {
        "kind": "HorizontalPodAutoscaler",
        "apiVersion": "autoscaling/v2",
        "metadata": {"name": "web"},
    }
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler["spec"] = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 3}
    plane.request("post", f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers", scaler)
    assert replicas() == 1, "an autoscaler's: as the program has it"


def test_who_may_only_read_can_plan_and_hears_what_is_forbidden(plane: ControlPlane, namespace: str) -> None:
    account = wait_for(lambda: get(plane, f"/api/v1/namespaces/{namespace}/serviceaccounts/default"))[
        "metadata"
    ]
    token = plane.request(
        "post", f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", {"spec": {}}
    )["status"]["token"]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    subject = {"kind": "ServiceAccount", "name": account["name"], "namespace": namespace}
    binding = {"metadata": {"name": "reader"}, "roleRef": role, "subjects": [subject]}
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
    plane.request("post", path, binding)
    document = json.loads(plane.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": token}
    reader = Plugin(KubernetesProvider())
    args = to_wire({"kubeconfig": json.dumps(document)})
    reader.call("Configure", pb.ConfigureRequest(args=args, acceptSecrets=True))
    inputs = reader.check(CONFIG_MAP, config_map(namespace, a="b"))
    assert preview(reader, CONFIG_MAP, inputs) == inputs
    with pytest.raises(Failed, match=r"ConfigMap .*/settings could not be applied: .* is forbidden: User"):
        reader.create(CONFIG_MAP, inputs)
    reader.close()


def test_annotations_that_are_not_known_yet_are_no_mistakes(plugin: Plugin, namespace: str) -> None:
    notes = {"pulumi.com/timeoutSeconds": UNKNOWN, "pulumi.com/waitFor": UNKNOWN}
    inputs = {"metadata": {"name": "web", "namespace": namespace, "annotations": notes}}
    assert plugin.check(DEPLOYMENT, inputs)["metadata"]["annotations"] == notes
