"""What users of other ways to run Ollama on a cluster report, each shown to be gone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ops.stack import GIVEN_FREE
from tests.cloud.conftest import Simulated
from tests.cloud.test_parameters import Deployed

SPOT_NOTICE_S = 120


def pod(deployed: Deployed, service: str) -> dict[str, Any]:
    return dict(deployed.inputs["Deployment", service]["spec"]["template"]["spec"])


@pytest.mark.parametrize("service", ["gateway", "edge"])
def test_a_rollout_or_scale_down_waits_for_the_longest_stream(prod: Simulated, service: str) -> None:
    found = Deployed(prod)
    assert pod(found, service)["terminationGracePeriodSeconds"] >= 600
    assert found.inputs["Deployment", service]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_a_worker_drains_before_it_stops_within_the_notice_of_a_spot_node(prod: Simulated) -> None:
    found = Deployed(prod)
    template = pod(found, "worker-chat")
    assert template["terminationGracePeriodSeconds"] <= SPOT_NOTICE_S, "more is not given"
    command = template["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert command[0].endswith("/drain")


def test_no_probe_kills_a_pod_that_loads_a_model(prod: Simulated) -> None:
    container = Deployed(prod).container("worker-chat")
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 900
    assert "models-ready" not in str(container["livenessProbe"]), "a worker without its models lives"
    assert "models-ready" in str(container["readinessProbe"]), "but gets no requests"


def test_models_are_pulled_once_and_read_from_the_stacks_own_store(prod: Simulated) -> None:
    found = Deployed(prod)
    for service in ("worker-chat", "worker-code"):
        template = pod(found, service)
        claims = [v["persistentVolumeClaim"] for v in template["volumes"] if "persistentVolumeClaim" in v]
        assert claims == [{"claimName": "models", "readOnly": True}]
        egress = found.inputs["NetworkPolicy", service]["spec"].get("egress", [])
        assert egress == [], "a worker reaches nothing, the internet least of all"
    jobs = [name for kind, name in found.inputs if kind == "Job"]
    assert sorted(jobs) == ["migrations", "models"]


def test_gateways_reach_the_database_through_the_pool_alone(prod: Simulated) -> None:
    found = Deployed(prod)
    assert found.gateway["database"]["host"] == "pgbouncer"
    assert "5432" not in str(found.inputs["NetworkPolicy", "gateway"]["spec"]["egress"])


def test_custom_resources_come_after_what_defines_them(prod: Simulated) -> None:
    made = [(one["type"].rpartition(":")[2], one["urn"].rsplit("::", 1)[1]) for one in prod.resources()]
    kinds = [kind for kind, _ in made]
    certificates, keda = made.index(("Release", "cert-manager")), made.index(("Release", "keda"))
    assert certificates < kinds.index("ClusterIssuer") < kinds.index("Certificate", certificates)
    assert keda < kinds.index("ClusterTriggerAuthentication") < kinds.index("ScaledObject")


def test_destroy_with_the_explicit_word_leaves_nothing_behind(prod: Simulated, tmp_path: Path) -> None:
    shutil.copytree(prod.folder, tmp_path, dirs_exist_ok=True)  # others look at what is up
    stack = Simulated("prod", tmp_path)
    stack.write(lambda settings: settings.update(policy={"allowReplace": ["*"]}))
    levels = tmp_path / "levels.json"
    levels.write_text(json.dumps({rule: {"allowReplace": ["*"]} for rule in GIVEN_FREE}))
    policies = ("--policy-pack", "policies", "--policy-pack-config", str(levels))
    done = stack.engine("up", "--yes", *policies)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    done = stack.engine("destroy", "--yes")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    cloud = tmp_path / "simulated" / ".pulumi" / "cloud"
    left = [json.loads(file.read_text()) for file in cloud.rglob("*.json")]
    kept = sorted(one["urn"].rsplit("::", 1)[1] for one in left if "urn" in one)
    # What opens the database's last snapshot, and what the account has only one of.
    assert kept == ["database-key", "registry"]


def test_destroy_is_refused_without_the_explicit_word(prod: Simulated) -> None:
    done = prod.engine("destroy", "--yes")
    assert done.returncode != 0
    assert "because it is protected" in done.stdout
