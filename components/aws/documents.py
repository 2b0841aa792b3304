"""IAM policy documents, as values: no look-up through the provider, so a plan needs no credentials."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

Statement = dict[str, Any]
Condition = Mapping[str, Mapping[str, pulumi.Input[str] | Sequence[pulumi.Input[str]]]]


def allow(
    actions: Sequence[str], resources: Sequence[pulumi.Input[str]], condition: Condition | None = None
) -> Statement:
    """Return a statement that allows ``actions`` on ``resources``."""
    return _statement("Allow", {"Action": list(actions), "Resource": list(resources)}, condition)


def deny(
    actions: Sequence[str], resources: Sequence[pulumi.Input[str]], condition: Condition | None = None
) -> Statement:
    """Return a statement that denies ``actions`` on ``resources`` whatever else allows them."""
    return _statement("Deny", {"Action": list(actions), "Resource": list(resources)}, condition)


def deny_elsewhere(actions: Sequence[str], resources: Sequence[pulumi.Input[str]]) -> Statement:
    """Return a statement that denies ``actions`` on all but ``resources`` whatever else allows them."""
    return _statement("Deny", {"Action": list(actions), "NotResource": list(resources)}, None)


def let(
    principal: Mapping[str, pulumi.Input[str]],
    actions: Sequence[str],
    resources: Sequence[pulumi.Input[str]] = (),
    condition: Condition | None = None,
) -> Statement:
    """Return a statement of a resource's own policy: what ``principal`` may do with the resource.

    Args:
        principal: such as ``{"Service": "ec2.amazonaws.com"}`` or ``{"AWS": ARN}``.
        actions: what it may do.
        resources: on what; none in the policy of a role, where it is the role.
        condition: when.
    """
    what = {"Principal": dict(principal), "Action": list(actions)}
    return _statement("Allow", what | ({"Resource": list(resources)} if resources else {}), condition)


def assumed_by(
    service: str, *, tag_session: bool = False, condition: Condition | None = None
) -> pulumi.Output[str]:
    """Return the trust policy of a role that an AWS service takes."""
    actions = ["sts:AssumeRole", *(["sts:TagSession"] if tag_session else [])]
    return document(let({"Service": service}, actions, condition=condition))


def document(*statements: Statement) -> pulumi.Output[str]:
    """Return a policy of these statements, JSON."""
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _statement(effect: str, what: dict[str, Any], condition: Condition | None) -> Statement:
    return {"Effect": effect, **what} | ({"Condition": condition} if condition else {})
