"""Manifests as values: two spellings of one thing are no change, and every real change is one."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubernetes.utils import parse_quantity

from engine.providers.kubernetes_manifest import changes, drifted, normal, owned, path_of, quantity, replaces
from rehearsal.controlplane import ControlPlane

SUFFIXES = ["m", "", "k", "M", "G", "Ki", "Mi", "Gi"]
AMOUNTS = [
    "0", "1", "100m", "0.1", "0.5", "1.5", "1000m", "1500m", "1000", "2048", "1024Mi", "0.5Gi", "1.5Gi",
    "128974848", "16Ti", "1E", "1Ki", "1000Ki", ".5", "1.000",
]  # fmt: skip
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
names = st.text("abc", min_size=1, max_size=2)
values = st.recursive(
    st.text(max_size=3) | st.integers() | st.booleans(),
    lambda inner: st.dictionaries(names, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=12,
)
manifests = st.dictionaries(names, values, max_size=4)


@patient
@given(st.decimals(0, 10_000, places=3), st.sampled_from(SUFFIXES))
def test_an_amount_keeps_its_value_and_has_one_spelling(number: Decimal, suffix: str) -> None:
    written = quantity(f"{number}{suffix}")
    assert parse_quantity(written) == parse_quantity(f"{number}{suffix}")
    assert quantity(written) == written


def test_amounts_are_written_as_the_api_server_writes_them(plane: ControlPlane) -> None:
    containers = [
        {"name": f"c{number}", "image": "x", "resources": {"limits": {"memory": amount}}}
        for number, amount in enumerate(AMOUNTS)
    ]
    pod = {"metadata": {"name": "amounts"}, "spec": {"containers": containers}}
    made = plane.request("post", "/api/v1/namespaces/default/pods?dryRun=All", pod)
    written = [one["resources"]["limits"]["memory"] for one in made["spec"]["containers"]]
    assert [quantity(amount) for amount in AMOUNTS] == written


def test_amounts_are_only_looked_for_where_they_are() -> None:
    data = {"limits": {"cpu": "1000m"}, "limits.cpu": "1000m"}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "data": data}
    assert normal(config)["data"] == data
    custom = {"apiVersion": "example.org/v1", "kind": "Lamp", "spec": {"limits": {"cpu": "1000m"}}}
    assert normal(custom) == custom
    container = {"name": "1000m", "resources": {"limits": {"cpu": "1000m", "memory": 1073741824}}}
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}
    resources = {"limits": {"cpu": "1", "memory": "1073741824"}}
    assert normal(pod)["spec"]["containers"] == [{"name": "1000m", "resources": resources}]


def test_what_is_off_is_written_as_the_api_server_writes_it(plane: ControlPlane) -> None:
    mounts = [{"name": name, "mountPath": f"/{name}", "readOnly": False} for name in ("claim", "csi")]
    container = {"name": "c", "image": "x", "stdin": False, "stdinOnce": False, "tty": False}
    pod = {
        **dict.fromkeys(("hostIPC", "hostNetwork", "hostPID", "automountServiceAccountToken"), False),
        "containers": [{**container, "volumeMounts": mounts}],
        "volumes": [
            {"name": "claim", "persistentVolumeClaim": {"claimName": "c", "readOnly": False}},
            {"name": "csi", "csi": {"driver": "example.org", "readOnly": False}},
        ],
    }
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod}
    source = {"driver": "example.org", "volumeHandle": "h", "readOnly": False}
    manifests: dict[str, dict[str, Any]] = {
        "/apis/apps/v1/namespaces/default/deployments": {
            "spec": {"paused": False, "selector": {"matchLabels": {"a": "b"}}, "template": template}
        },
        "/api/v1/namespaces/default/services": {
            "spec": {"ports": [{"port": 1}], "publishNotReadyAddresses": False}
        },
        "/api/v1/persistentvolumes": {
            "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "csi": source}
        },
    }
    for path, manifest in manifests.items():
        made = plane.request("post", f"{path}?dryRun=All", {"metadata": {"name": "off"}, **manifest})
        sent = normal({"apiVersion": made["apiVersion"], "kind": made["kind"], **manifest})
        assert falses(sent["spec"]) == falses({key: made["spec"][key] for key in sent["spec"]}), path


def falses(value: Any, path: str = "") -> set[str]:
    """Return where a value is false."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {found for key, item in pairs for found in falses(item, f"{path}.{key}")}
    return {path} if value is False else set()


def test_a_secret_is_written_as_the_api_server_keeps_it() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "data": {"a": "MQ=="}, "stringData": {"b": "2"}}
    assert normal(secret)["data"] == {"a": "MQ==", "b": "Mg=="}
    assert "stringData" not in normal(secret)


@patient
@given(manifests)
def test_a_manifest_does_not_differ_from_itself(manifest: dict[str, Any]) -> None:
    assert list(changes(manifest, copy.deepcopy(manifest))) == []
    assert normal(normal(manifest)) == normal(manifest)


@patient
@given(manifests, manifests)
def test_manifests_that_differ_have_changes_and_each_is_where_it_is_said(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    found = list(changes(old, new))
    assert bool(found) == (old != new)
    for steps, how in found:
        before, after = _at(old, steps), _at(new, steps)
        assert before != after
        assert how == ("add" if before is None else "delete" if after is None else "update")


def _at(value: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps:
        if isinstance(value, list):
            value = value[step] if isinstance(step, int) and step < len(value) else None
        else:
            value = value.get(step)
    return value


@patient
@given(manifests, manifests)
def test_what_others_add_is_no_drift(given_: dict[str, Any], added: dict[str, Any]) -> None:
    live = {**given_, **{f"{key}-added": value for key, value in added.items()}}
    assert drifted(given_, live, {**given_, "status": 1}) == given_
    assert drifted(given_, live) == given_


def test_drift_is_what_is_not_any_more_as_it_was() -> None:
    given_ = {
        "replicas": 2,
        "cpu": "1000m",
        "quiet": False,
        "args": ["a"],
        "ports": [{"port": 80}],
        "note": "x",
    }
    before = {
        "replicas": 2,
        "cpu": "1",
        "args": ["a"],
        "ports": [{"port": 80, "protocol": "TCP"}],
        "note": "x",
    }
    assert drifted(given_, copy.deepcopy(before), before) == given_, "another spelling, or a default left out"
    live = {
        "replicas": 3,
        "cpu": "1",
        "args": ["a", "b"],
        "ports": [{"port": 81, "protocol": "TCP"}, {"port": 90}],
    }
    expected = {"replicas": 3, "cpu": "1000m", "quiet": False, "args": ["a", "b"], "ports": [{"port": 81}]}
    assert drifted(given_, live, before) == expected


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        (("spec", "containers", 0, "image"), "spec.containers[0].image"),
        (("metadata", "annotations", "a.b/c"), 'metadata.annotations["a.b/c"]'),
        (("metadata", "labels", "app-name"), "metadata.labels.app-name"),
    ],
)
def test_paths_are_written_as_the_plugin_writes_them(steps: tuple[str | int, ...], path: str) -> None:
    assert path_of(steps) == path


def test_a_change_around_or_within_an_immutable_field_replaces() -> None:
    rules = ("spec.selector",)
    old, new = {"spec": {"selector": {"a": "b"}, "replicas": 1}}, {"spec": {"replicas": 2}}
    assert replaces(rules, ("spec", "selector", "a"), old, new)
    assert replaces(rules, ("spec",), old, {})
    assert not replaces(rules, ("spec", "replicas"), old, new)
    assert not replaces(rules, ("spec",), {}, new)
    assert replaces((), ("metadata", "name"), old, new)


def test_an_owner_takes_over_what_the_cli_created() -> None:
    def entry(manager: str, operation: str, fields: dict[str, Any], **rest: str) -> dict[str, Any]:
        return {"manager": manager, "operation": operation, "fieldsV1": fields, **rest}

    status = entry("kube-controller-manager", "Update", {"f:status": {}}, subresource="status")
    made = entry("pulumi-kubernetes", "Update", {"f:spec": {"f:a": {}}})
    applied = entry("kubectl-client-side-apply", "Update", {"f:spec": {"f:b": {}}})
    live = {"metadata": {"managedFields": [made, applied, status]}}
    mine = entry("us", "Apply", {"f:spec": {"f:a": {}, "f:b": {}}})
    assert owned(live, "us") == [mine, status]
    assert owned({"metadata": {"managedFields": [mine, made, status]}}, "us") is None, "it is ours already"
