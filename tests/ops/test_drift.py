"""Drift: what is found of it, whose it is, and what is suggested."""

from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

import stacks
from ops import drift
from ops.culprit import Asked, manager
from ops.drift import SETTINGS, SIGNATURE, Drift, drifts, report
from ops.stack import ROOT

DATABASE = "aws:rds/instance:Instance"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"


def resource(kind: str, name: str, **inputs: Any) -> dict[str, Any]:
    """Return a resource as a state has it."""
    urn = f"urn:pulumi:prod::ollamamax::ollamamax:index:Platform${kind}::{name}"
    return {"urn": urn, "type": kind, "custom": True, "id": f"{name}-id", "inputs": inputs, "outputs": {}}


def gateway(replicas: int) -> dict[str, Any]:
    return resource(DEPLOYMENT, "gateway", metadata={"name": "gateway"}, spec={"replicas": replicas})


SCALER = resource(
    "kubernetes:keda.sh/v1alpha1:ScaledObject", "gateway", spec={"scaleTargetRef": {"name": "gateway"}}
)


def found(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[Drift]:
    return drifts(before, after, lambda one, path: "")


def paths(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    one, other = (resource(DATABASE, "database", **inputs) for inputs in (before, after))
    return [(it.path, it.program, it.real) for one in found([one], [other]) for it in one.differences]


def test_a_stack_that_nobody_touched_has_none() -> None:
    assert found([gateway(3), SCALER], [gateway(3), SCALER]) == []
    assert report("prod", True, []) == (
        "## Drift of stack prod (simulated)\n\nEverything is as the program has it.\n"
    )


def test_each_property_that_differs_is_named() -> None:
    assert paths(
        {"tags": {"a": 1, "b": 2}, "ports": [1, 2], "zones": ["a"], "size": 3},
        {"tags": {"a": 1, "c": 3}, "ports": [1, 5], "zones": ["a", "b"], "size": 3},
    ) == [
        ("ports[1]", 2, 5),
        ("tags.b", 2, None),
        ("tags.c", None, 3),
        ("zones", ["a"], ["a", "b"]),
    ]


def test_a_secret_and_a_providers_own_notes_are_not_compared() -> None:
    secret = {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "one"}
    assert paths({"password": secret, "__defaults": []}, {"password": secret | {"ciphertext": "two"}}) == []
    assert paths({"password": secret}, {"password": "told"}) == []


def test_components_and_providers_do_not_drift() -> None:
    group = resource("ollamamax:index:Gateway", "gateway") | {"custom": False}
    provider = resource("pulumi:providers:aws", "aws", region="here")
    assert found([group, provider], []) == []


def test_what_is_gone_is_told_first_and_can_be_made_again() -> None:
    text = report(
        "prod", False, found([gateway(3), SCALER, resource(DATABASE, "database")], [gateway(9), SCALER])
    )
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows[0] == f"| `database` ({DATABASE}) | **is gone** | | | not known |"
    assert "* `database`: `make up STACK=prod REFRESH=1` makes it again" in text


def test_replicas_that_an_autoscaler_moves_are_expected() -> None:
    (one,) = found([gateway(3), SCALER], [gateway(9), SCALER])
    assert one.expected
    text = report("prod", False, [one])
    assert f"| `gateway` ({DEPLOYMENT}) | `spec.replicas` | `3` | `9` | the pod autoscaler |" in text
    assert "* `gateway`: nothing; this is the work of the pod autoscaler" in text


def test_replicas_without_an_autoscaler_are_somebodys() -> None:
    (one,) = found([gateway(3)], [gateway(9)])
    assert not one.expected


def test_another_change_beside_the_autoscalers_is_not_expected() -> None:
    changed = gateway(9)
    changed["inputs"]["spec"]["paused"] = True
    (one,) = found([gateway(3), SCALER], [changed, SCALER])
    assert not one.expected


@pytest.mark.parametrize(("now", "expected"), [(200, True), (50, False)])
def test_storage_grows_by_itself_and_does_not_shrink(now: int, expected: bool) -> None:
    before, after = (resource(DATABASE, "database", allocatedStorage=size) for size in (100, now))
    (one,) = found([before], [after])
    assert one.expected is expected


def test_what_a_setting_is_behind_can_be_kept_by_it() -> None:
    before, after = (resource(DATABASE, "database", backupRetentionPeriod=days) for days in (14, 3))
    assert (
        "* `database`: `make up STACK=prod REFRESH=1` takes it back; if it is to stay, set "
        "`aws.database.backupDays: 3` in stacks/Pulumi.prod.yaml\n"
    ) in report("prod", False, found([before], [after]))


def test_what_no_setting_is_behind_is_the_programs() -> None:
    before, after = (resource(DATABASE, "database", tags={"owner": one}) for one in ("a", "b|c"))
    text = report("prod", False, found([before], [after]))
    assert "takes it back; if it is to stay, change the program" in text
    assert '`"b\\|c"`' in text, "a bar would end the table's cell"


@pytest.mark.parametrize("setting", sorted(SETTINGS.values()))
def test_every_setting_that_is_suggested_exists(setting: str) -> None:
    value: Any = stacks.read(ROOT / "stacks" / "Pulumi.prod.yaml", "prod")
    for name in setting.split("."):
        fields = {field.alias: own for own, field in type(value).model_fields.items()}
        assert name in fields
        value = getattr(value, fields[name])


def test_a_kubernetes_object_says_who_manages_a_field() -> None:
    edited = gateway(9)
    replicas: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
    written = [
        ("pulumi-kubernetes-1", "2026-03-03T00:00:00Z", replicas),
        ("kubectl-edit", "2026-03-02T00:00:00Z", replicas),
        ("keda", "2026-03-01T00:00:00Z", {"f:status": {}}),
    ]
    entries = [{"manager": who, "time": at, "fieldsV1": fields} for who, at, fields in written]
    edited["outputs"] = {"metadata": {"managedFields": entries}}
    assert manager(edited, "spec.replicas") == "`kubectl-edit`, 2026-03-02T00:00:00Z"
    assert manager(edited, "spec.template.spec.containers[0].image") == ""
    assert manager(gateway(9), "spec.replicas") == ""


def event(name: str, read_only: str) -> dict[str, Any]:
    at = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    return {"EventName": name, "Username": "alice", "ReadOnly": read_only, "EventTime": at}


@pytest.fixture
def trail() -> Any:
    """Return a client of AWS's trail that answers what it is told."""
    return botocore.session.get_session().create_client(
        "cloudtrail", region_name="eu-central-1", aws_access_key_id="none", aws_secret_access_key="none"
    )


def test_the_trail_says_who_wrote_to_a_resource_last(trail: Any) -> None:
    settings = stacks.read(ROOT / "stacks" / "Pulumi.prod.yaml", "prod")
    asked = Asked(settings, trail)
    with Stubber(trail) as stub:
        stub.add_response(
            "lookup_events",
            {"Events": [event("DescribeDBInstances", "true"), event("ModifyDBInstance", "false")]},
            {"LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": "database-id"}]},
        )
        database = resource(DATABASE, "database")
        for path in ("multiAz", "instanceClass"):  # the second time it is not asked
            assert asked(database, path) == "`alice`, ModifyDBInstance, 2026-03-01 12:30 UTC"
        stub.add_client_error("lookup_events", "AccessDeniedException", "no")
        assert asked(resource(DATABASE, "other"), "").startswith("not known: An error occurred (AccessDenied")
        stub.add_response("lookup_events", {"Events": []})
        assert asked(resource(DATABASE, "third"), "") == ""
        assert asked(gateway(3), "spec.replicas") == ""


def test_an_unknown_stack_is_one_message() -> None:
    with pytest.raises(SystemExit, match="error: STACK=no-such: no Pulumi"):
        drift.main("no-such")
