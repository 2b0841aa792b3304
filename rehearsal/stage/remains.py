"""What a stack has in its state and not in the cluster, and what is left of it once it is gone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rehearsal.stage.inventory import Inventory, labels
from rehearsal.stage.scaling import GENERAL_POOL

KEPT = {
    "database-key": "opens the database's last snapshot",
    "registry": "scan settings, of which an account has one",
}
"""What a stack leaves in a cloud on purpose, by its name, and why."""
CHART = "helm.sh/v3"
PASSING = frozenset(("events.k8s.io/Event", "coordination.k8s.io/Lease"))
"""Kinds that come and go by themselves."""


def missing(resources: Iterable[dict[str, Any]], found: Inventory) -> Iterator[str]:
    """Yield the objects of a state that the cluster has not admitted."""
    for one in resources:
        package, _, rest = one["type"].partition(":")
        module, _, kind = rest.rpartition(":")
        if package != "kubernetes" or module == CHART:
            continue
        group = module.partition("/")[0]
        full = f"{'' if group == 'core' else group}/{kind}"
        namespace, _, name = one["id"].rpartition("/")
        if full not in found.kinds:
            yield f"{kind} {name} is of a kind that the cluster does not know: {module}"
        elif found.find(full, namespace, name) is None:
            yield f"{kind} {name} is in the state and not in the cluster"


def in_cluster(before: Inventory, found: Inventory) -> Iterator[str]:
    """Yield what was not there before the stack, but for nodes that serve all: they come and go."""
    general = {
        one["metadata"]["name"]
        for kind in ("/Node", "karpenter.sh/NodeClaim")
        for one in found.of(kind)
        if labels(one).get("karpenter.sh/nodepool") == GENERAL_POOL
    }
    for kind, namespace, name in sorted(found.names() - before.names()):
        if kind not in PASSING and name not in general:
            where = f" in namespace {namespace}" if namespace else ""
            yield f"{kind.rpartition('/')[2]} {name}{where} is left"


def in_cloud(folder: Path) -> Iterator[str]:
    """Yield what is left in a simulated cloud."""
    for file in sorted(folder.rglob("*.json")):
        thing = json.loads(file.read_text())
        if "urn" in thing and thing["urn"].rpartition("::")[2] not in KEPT:
            yield f"{thing['urn']} is left in the simulated cloud"
