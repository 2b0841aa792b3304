"""What a cluster has not admitted, and what is left in a simulated cloud."""

from __future__ import annotations

import json
from pathlib import Path

from rehearsal.stage import remains
from tests.rehearsal.objects import inventory, named, platform, wide


def state(kind: str, id_: str) -> dict[str, str]:
    return {"type": f"kubernetes:{kind}", "id": id_}


def test_what_is_in_the_state_must_be_in_the_cluster() -> None:
    resources = [
        state("apps/v1:Deployment", "platform/worker"),
        state("core/v1:Service", "platform/worker"),
        state("example.org/v1:Console", "platform/console"),
        state("helm.sh/v3:Release", "keda/keda"),
        {"type": "aws:s3/bucket:Bucket", "id": "models"},
    ]
    assert list(remains.missing(resources, inventory(platform()))) == [
        "Service worker is in the state and not in the cluster",
        "Console console is of a kind that the cluster does not know: example.org/v1",
    ]


def test_what_came_with_the_stack_must_go_but_for_the_nodes_that_serve_all() -> None:
    before, after = platform(), platform()
    nodes = [wide(name) for name in ("node-1", "node-2", "eu-3")]
    for node, pool in zip(nodes, ("chat", "general-purpose", "general-purpose"), strict=True):
        node["metadata"]["labels"] = {"karpenter.sh/nodepool": pool}
    after["/Node"] = nodes
    after["events.k8s.io/Event"] = [named("scaled")]
    after["/Secret"].append(named("left"))
    assert list(remains.in_cluster(inventory(before), inventory(after))) == [
        "Node node-1 is left",
        "Secret left in namespace platform is left",
    ]


def test_what_is_kept_on_purpose_is_no_remainder(tmp_path: Path) -> None:
    for name in ("database-key", "registry", "models"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"urn": f"urn:pulumi:prod::x::y::{name}"}))
    (tmp_path / "counts.json").write_text(json.dumps({"urn:pulumi:prod::x::y::models": 2}))
    assert list(remains.in_cloud(tmp_path)) == [
        "urn:pulumi:prod::x::y::models is left in the simulated cloud",
    ]
