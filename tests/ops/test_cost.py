"""The estimate of cost as people and programs get it."""

import json
from pathlib import Path
from typing import Any

import pytest

import stacks
from ops import cost
from ops.stack import StackError
from stacks import Settings
from tests.ops.test_commands import run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def prod() -> Settings:
    return stacks.read(ROOT / "stacks/Pulumi.prod.yaml", "prod")


@pytest.fixture(scope="module")
def document(prod: Settings) -> dict[str, Any]:
    return cost.document(prod)


def test_the_items_add_up_to_the_total(document: dict[str, Any]) -> None:
    for column in ("min", "expected", "max"):
        assert sum(item[column] for item in document["items"]) == pytest.approx(
            document["total"][column], abs=0.1
        )


def test_the_table_says_what_the_document_says(prod: Settings, document: dict[str, Any]) -> None:
    lines = cost.table(prod).splitlines()
    for item in [*document["items"], {"name": "total", **document["total"]}]:
        line = next(line for line in lines if line.strip().startswith(item["name"]))
        words = line.strip().removeprefix(item["name"]).replace("*", " ").split()[:3]
        amounts = [item[column] for column in ("min", "expected", "max")]
        assert [float(word.replace(",", "")) for word in words] == pytest.approx(amounts, abs=0.51)
    text = " ".join(" ".join(lines).split())
    assert f"budget {document['budget']:,}" in text
    assert f"A million tokens, an estimate: {document['perMillionTokens']:.2f} USD" in text
    assert f"Prices of eu-central-1, EC2's as of {document['pricesAsOf']}." in text


def test_what_rests_on_an_estimate_is_marked(prod: Settings, document: dict[str, Any]) -> None:
    lines = [line.strip() for line in cost.table(prod).splitlines()]
    marked = {item["name"] for item in document["items"] if item["estimated"]}
    assert marked == {
        item["name"]
        for item in document["items"]
        if any(line.startswith(f"{item['name']} * ") for line in lines)
    }
    assert {"GPU pool chat", "Database"} <= marked
    assert "EKS control plane" not in marked


def test_every_pool_has_its_price_of_a_million(prod: Settings, document: dict[str, Any]) -> None:
    assert [pool["name"] for pool in document["pools"]] == [pool.name for pool in prod.gpu_pools]
    assert all(0 < pool["perMillionTokens"] < 100 for pool in document["pools"])


def test_prices_that_stand_in_for_others_say_so(prod: Settings) -> None:
    assert prod.aws
    north = prod.aws.model_copy(update={"region": "eu-north-1"})
    text = cost.table(prod.model_copy(update={"aws": north}))
    assert "eu-central-1 (those of eu-north-1 are not known here)," in text


def test_a_stack_without_gpus_has_no_price_of_tokens(prod: Settings) -> None:
    without = prod.model_copy(update={"gpu_pools": ()})
    assert "A million tokens" not in cost.table(without)
    assert cost.document(without)["perMillionTokens"] is None


def test_a_stack_on_this_machine_has_no_prices() -> None:
    with pytest.raises(StackError, match=r"^target docker has no prices"):
        cost.table(Settings(target="docker"))


def test_the_command_prints_json(document: dict[str, Any]) -> None:
    done = run("cost", "--stack", "prod", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == document


def test_the_command_prints_the_table(prod: Settings) -> None:
    done = run("cost", "--stack", "prod")
    assert (done.returncode, done.stdout) == (0, cost.table(prod) + "\n")


@pytest.mark.parametrize("command", ["cost", "preflight"])
def test_an_unknown_stack_is_one_message(command: str) -> None:
    done = run(command, "--stack", "no-such-stack")
    assert done.returncode == 1
    assert done.stderr.startswith("error: STACK=no-such-stack: no Pulumi.no-such-stack.yaml in stacks/")
    assert len(done.stderr.splitlines()) == 1
