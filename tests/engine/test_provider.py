"""The adapter between plain-Python resources and pulumirpc.ResourceProvider."""

from collections.abc import Iterator

import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from engine.provider import (
    CheckError,
    Context,
    Diff,
    InitError,
    Provider,
    ProviderError,
    Resource,
    unique_name,
)
from engine.values import UNKNOWN, Properties, Secret, from_wire, to_wire
from tests.engine.providers.harness import Failed, Plugin

TOKEN = "fake:index/thing:Thing"


class Thing(Resource):
    """Does what its inputs ask for."""

    outputs = frozenset({"id", "made"})

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        if "bad" in news:
            raise CheckError([ctx.unsupported("bad"), ("worse", "worse is too bad")])
        return {**news, "name": unique_name(ctx, seed), "__defaults": ["name"]}

    def diff(self, ctx: Context, olds: Properties, news: Properties) -> Diff:
        return Diff(
            {"list[0]": "update-replace", "map.key": "add", "plain": "delete"}, delete_before_replace=True
        )

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        ctx.log("half way")
        match inputs.get("fail"):
            case "late":
                raise InitError("id-1", {"password": inputs["password"]}, "not well")
            case "early":
                raise ProviderError("no room")
            case "bug":
                raise KeyError("defect")
        return "id-1", {**inputs, "made": Secret("key"), "other": 1}


class Fake(Provider):
    name, version, config_keys = "fake", "1.2.3", frozenset({"host"})


@pytest.fixture
def plugin() -> Iterator[Plugin]:
    served = Plugin(Fake({TOKEN: Thing()}))
    yield served
    served.close()


def test_hooks_see_plain_values_and_what_was_secret_comes_back_secret(plugin: Plugin) -> None:
    given = {"password": Secret("p"), "list": ["a", Secret("b")], "map": {"x": Secret(1), "y": 2}}
    inputs = plugin.check(TOKEN, given)
    assert inputs["list"] == Secret(["a", "b"])
    assert inputs["map"] == {"x": Secret(1), "y": 2}
    id_, outputs = plugin.create(TOKEN, inputs)
    assert id_ == "id-1"
    assert (outputs["password"], outputs["made"], outputs["other"]) == (Secret("p"), Secret("key"), 1)
    assert plugin.log == ["half way"]


def test_a_name_follows_from_the_seed(plugin: Plugin) -> None:
    first = plugin.check(TOKEN, {})
    assert plugin.check(TOKEN, {}) == first
    assert first["name"].startswith("x-")
    assert len(first["name"]) == len("x-") + 7


def test_a_plan_has_paths_top_level_keys_and_replacements(plugin: Plugin) -> None:
    answer = plugin.diff(TOKEN, {}, {})
    assert (list(answer.diffs), list(answer.replaces)) == (["list", "map", "plain"], ["list"])
    assert plugin.changes(TOKEN, {}, {}) == {"list[0]": "update-replace", "map.key": "add", "plain": "delete"}
    assert answer.deleteBeforeReplace
    rest = plugin.diff(TOKEN, {}, {}, ignore=("list", "map"))
    assert (list(rest.diffs), rest.deleteBeforeReplace) == (["plain"], False)


def test_every_failure_is_one_message(plugin: Plugin) -> None:
    unsupported = "bad is not supported by the embedded engine: needs the Pulumi CLI"
    assert plugin.refusals(TOKEN, {"bad": 1}) == [f'{TOKEN} "x": {unsupported}', "worse is too bad"]
    with pytest.raises(Failed, match=r"^no room$"):
        plugin.create(TOKEN, {"fail": "early"})
    with pytest.raises(Failed, match=r"^fake provider: Create: KeyError: 'defect'$"):
        plugin.create(TOKEN, {"fail": "bug"})
    with pytest.raises(Failed, match=r"^not well$") as late:
        plugin.create(TOKEN, {"fail": "late", "password": Secret("p")})
    assert (late.value.id, late.value.outputs) == ("id-1", {"password": Secret("p")})
    with pytest.raises(Failed, match=r"^fake:index/other:Other is not supported by the embedded engine"):
        plugin.create("fake:index/other:Other", {})
    with pytest.raises(Failed, match=r"^fake:index:get is not supported by the embedded engine"):
        plugin.call("Invoke", pb.InvokeRequest(tok="fake:index:get"))


def test_a_preview_knows_inputs_and_nothing_else(plugin: Plugin) -> None:
    inputs = {"name": "n", "__defaults": ["name"]}
    request = pb.CreateRequest(urn=plugin.urn(TOKEN), properties=to_wire(inputs), preview=True)
    answer = plugin.call("Create", request)
    assert from_wire(answer.properties) == {"id": UNKNOWN, "made": UNKNOWN, "name": "n"}


def test_settings_that_would_be_ignored_are_refused(plugin: Plugin) -> None:
    good = plugin.call("CheckConfig", pb.CheckRequest(news=to_wire({"host": "h", "version": "1"})))
    assert from_wire(good.inputs) == {"host": "h", "version": "1"}
    bad = plugin.call("CheckConfig", pb.CheckRequest(news=to_wire({"caMaterial": "c"})))
    reason = "provider fake: caMaterial is not supported by the embedded engine: needs the Pulumi CLI"
    assert [one.reason for one in bad.failures] == [reason]
    changed = plugin.call("DiffConfig", pb.DiffRequest(olds=to_wire({"a": 1}), news=to_wire({"a": 2})))
    assert (changed.changes, list(changed.replaces)) == (pb.DiffResponse.DIFF_SOME, [])
