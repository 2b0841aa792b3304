"""Load that a job on a cluster plays: what is asked of the engine, and what is read of its words."""

import json
from typing import Any, get_args

import pytest
import yaml

from ops import load, load_job
from ops.cluster import Cluster
from ops.stack import Stack, StackError
from stacks.delivery import LoadSettings
from tests.ops.conftest import Checkout

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


def test_words_without_a_measure_are_shown() -> None:
    with pytest.raises(StackError, match=r"^the job has measured nothing; its last words: GoError: oh$"):
        load_job.measured("running\nGoError: oh\n")


def test_pgbench_needs_a_database_here(cluster_stack: Checkout) -> None:
    with pytest.raises(StackError, match="keeps its data on a cluster"):
        load.load(cluster_stack.stack, load.DATABASE, 30)


def test_the_programs_scenarios_are_the_commands() -> None:
    names = get_args(LoadSettings.model_fields["scenario"].annotation)
    assert set(names) == load.SCENARIOS.keys() - {load.DATABASE}
