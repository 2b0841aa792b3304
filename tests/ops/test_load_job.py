"""Load that a job on a cluster plays: what is asked of the engine, and what is read of its words."""

import json
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from components.service import CONFIG_DIR, USER
from ops import load, load_job
from ops.cluster import Cluster
from ops.stack import Stack, StackError
from stacks.alerts import AlertSettings
from stacks.delivery import LoadSettings
from tests.containers import build
from tests.ops.conftest import Checkout
from tests.ops.test_load import OUTPUTS, server

__all__ = ["server"]

METRICS = {
    "http_reqs": {"values": {"rate": 500.0}, "thresholds": {"rate>400": {"ok": True}}},
    "http_req_duration{kind:quick}": {"values": {"p(99)": 4.0}},
}
SAID = f"running (1m00.0s), 100/100 VUs\n\n{json.dumps(METRICS)}\n"
SETTINGS = "config:\n  ollamamax:target: kubernetes\n  ollamamax:kubernetes: {context: here}\n"


@pytest.fixture
def cluster_stack(embedded: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """Return a checkout whose stack is on a cluster, where a job says what k6 would."""
    text = SETTINGS + "  ollamamax:longestStreamS: 20\n  ollamamax:longestGenerationS: 20\n"
    embedded.stack.settings_file.write_text(text)
    known = {"url": "https://edge:8443", "apiKey": "omx-key", "version": "0.2.0"}
    monkeypatch.setenv("ANSWER", json.dumps(known))
    monkeypatch.setattr(Cluster, "said", lambda cluster, service: SAID)
    monkeypatch.setattr(Cluster, "kubectl", lambda cluster, service: "kubectl")
    return embedded


def asked(checkout: Checkout) -> list[list[str]]:
    return [call["words"] for call in checkout.calls if call["words"][0] in {"up", "destroy"}]


def test_the_job_alone_is_brought_up_and_removed(cluster_stack: Checkout) -> None:
    found = load_job.played(cluster_stack.stack, "report", 30)
    assert found == METRICS
    up, destroy = asked(cluster_stack)
    for words in (up, destroy):
        targets = [words[n + 1] for n, word in enumerate(words) if word == "--target"]
        assert targets == list(load_job.PARTS)


def test_the_program_has_the_job_only_while_it_plays(
    cluster_stack: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def read(stack: Stack, *targets: str) -> None:
        seen.append(yaml.safe_load(stack.config_file.read_text())["config"].get("ollamamax:load"))

    monkeypatch.setattr(Stack, "up", read)
    monkeypatch.setattr(Stack, "remove", read)
    load_job.played(cluster_stack.stack, "cache", 45)
    assert seen == [{"scenario": "cache", "seconds": 45}, None]


def test_a_job_that_a_crossed_threshold_failed_is_judged_by_what_it_measured(
    cluster_stack: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    crossed = METRICS | {"http_reqs": {"values": {"rate": 5.0}, "thresholds": {"rate>400": {"ok": False}}}}
    monkeypatch.setattr(Cluster, "said", lambda cluster, service: f"\n{json.dumps(crossed)}\n")
    monkeypatch.setattr(Stack, "up", lambda stack, *targets: (_ for _ in ()).throw(StackError("up failed")))
    with pytest.raises(StackError, match=r"^report: http_reqs is not rate>400$"):
        load.load(cluster_stack.stack, "report", 30)


def test_a_job_that_does_not_get_so_far_is_removed_and_told(
    cluster_stack: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cluster, "said", lambda cluster, service: "")
    monkeypatch.setattr(Stack, "up", lambda stack, *targets: (_ for _ in ()).throw(StackError("up failed")))
    with pytest.raises(StackError, match=r"^up failed$"):
        load_job.played(cluster_stack.stack, "report", 30)
    (destroy,) = asked(cluster_stack)
    assert destroy[0] == "destroy"


def test_a_simulated_cluster_carries_no_load(
    cluster_stack: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stack, "in_cloud", True)
    with pytest.raises(StackError, match="which only the Pulumi CLI can change"):
        load_job.played(cluster_stack.stack, "report", 30)


@pytest.mark.long
def test_the_image_plays_a_scenario_as_a_pod_has_it_and_ends_with_what_it_measured(
    server: str, tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    tmp_path.chmod(0o755)  # for the user of the image
    slow = AlertSettings.model_validate({"platformMs": {"target": 1000, "warning": 2000, "critical": 3000}})
    text = load.script("cache", kpi=slow, seconds=2, summary="stdout")
    (tmp_path / "scenario.js").write_text(text)
    known = {"url": server, "key": OUTPUTS["apiKey"]}
    (tmp_path / "secrets" / "stack.json").write_text(json.dumps(known))
    restricted = ("--read-only", "--cap-drop=ALL", f"--user={USER}", "--tmpfs=/tmp", "--network=host")
    done = subprocess.run(
        ["docker", "run", "--rm", *restricted, f"--volume={tmp_path}:{CONFIG_DIR}:ro", build("load")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    measures = load.judged("cache", load_job.measured(done.stdout)).measures
    assert all(value > 0 for value in measures.values())


def test_words_without_a_measure_are_shown() -> None:
    with pytest.raises(StackError, match=r"^the job has measured nothing; its last words: GoError: oh$"):
        load_job.measured("running\nGoError: oh\n")


def test_pgbench_needs_a_database_here(cluster_stack: Checkout) -> None:
    with pytest.raises(StackError, match="keeps its data on a cluster"):
        load.load(cluster_stack.stack, load.DATABASE, 30)


def test_the_programs_scenarios_are_the_commands() -> None:
    names = get_args(LoadSettings.model_fields["scenario"].annotation)
    assert set(names) == load.SCENARIOS.keys() - {load.DATABASE}
