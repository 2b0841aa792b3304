"""The adapter between plain-Python resources and pulumirpc.ResourceProvider."""

from collections.abc import Iterator
from hashlib import sha256
from typing import ClassVar

import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from engine.provider import (
    Context,
    Diff,
    InitError,
    Provider,
    ProviderError,
    Resource,
)
from engine.values import UNKNOWN, Properties, Secret, from_wire, to_wire
from tests.engine.providers.harness import Failed, Plugin

TOKEN = "fake:index/thing:Thing"


class Thing(Resource):
    """Does what its inputs ask for."""

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        if "bad" in news:
            raise ctx.error("bad is too bad")
        return {**news, "name": f"{ctx.name}-{sha256(seed).hexdigest()[:7]}", "__defaults": ["name"]}

    def diff(self, ctx: Context, olds: Properties, inputs: Properties, news: Properties) -> Diff:
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
    given: Properties | None = None

    def configure(self, args: Properties) -> None:
        self.given = args


def _served(resource: Resource) -> Iterator[Plugin]:
    served = Plugin(Fake({TOKEN: resource}))
    yield served
    served.close()


@pytest.fixture
def plugin() -> Iterator[Plugin]:
    yield from _served(Thing())


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
    answer = plugin.diff(TOKEN, {}, {}, {})
    assert (list(answer.diffs), list(answer.replaces)) == (["list", "map", "plain"], ["list"])
    assert plugin.changes(TOKEN, {}, {}, {}) == {
        "list[0]": "update-replace",
        "map.key": "add",
        "plain": "delete",
    }
    assert answer.deleteBeforeReplace
    rest = plugin.diff(TOKEN, {}, {}, {}, ignore=("list", "map"))
    assert (list(rest.diffs), rest.deleteBeforeReplace) == (["plain"], False)


def test_every_failure_is_one_message(plugin: Plugin) -> None:
    with pytest.raises(Failed, match=rf'^{TOKEN} "x": bad is too bad$'):
        plugin.check(TOKEN, {"bad": 1})
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
    assert from_wire(answer.properties) == inputs


def test_settings_that_would_be_ignored_are_refused(plugin: Plugin) -> None:
    good = plugin.call("CheckConfig", pb.CheckRequest(news=to_wire({"host": "h", "version": "1"})))
    assert from_wire(good.inputs) == {"host": "h", "version": "1"}
    reason = "provider fake: caMaterial is not supported by the embedded engine: needs the Pulumi CLI"
    with pytest.raises(Failed, match=f"^{reason}$"):
        plugin.call("CheckConfig", pb.CheckRequest(news=to_wire({"caMaterial": "c"})))


def test_a_provider_sees_its_settings_alone_whatever_else_an_engine_hands_over() -> None:
    fake = Fake({})
    served = Plugin(fake, {"host": "h", "version": "1", "pluginDownloadURL": "u", "__internal": {}})
    served.close()
    assert fake.given == {"host": "h"}


class Box(Resource):
    """Declares its inputs."""

    inputs: ClassVar = {
        "colour": "red|blue",
        "lid": bool,
        "size": int,
        "parts": [{"name": str}],
        "tags": dict,
    }
    in_place = frozenset({"colour", "parts"})
    live = frozenset({"lid"})

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        return ctx.name, inputs


@pytest.fixture
def box() -> Iterator[Plugin]:
    yield from _served(Box())


def test_what_is_not_declared_is_refused_all_at_once(box: Plugin) -> None:
    good = {"colour": "red", "size": UNKNOWN, "parts": [{"name": "a"}], "tags": {"any": 1}}
    assert box.check(TOKEN, good) == good
    bad = {"colour": "green", "lid": 1, "size": "big", "parts": [{"name": "a", "weight": 1}], "weight": 2}
    with pytest.raises(Failed) as refused:
        box.check(TOKEN, bad)
    assert str(refused.value).split("; ") == [
        f'{TOKEN} "x": colour "green" does not match red|blue',
        "lid must be true or false, not int",
        "parts[0].weight is not supported by the embedded engine: needs the Pulumi CLI",
        "size must be a whole number, not str",
        "weight is not supported by the embedded engine: needs the Pulumi CLI",
    ]


def test_inputs_are_compared_one_by_one_and_those_that_change_from_outside_by_their_outputs(
    box: Plugin,
) -> None:
    old = {"colour": "red", "size": 1, "parts": [{"name": "a"}, {"name": "b"}], "tags": {"a.b": "1"}}
    assert box.changes(TOKEN, old, old, old) == {}
    for new, change in (
        ({"colour": "blue"}, {"colour": "update"}),
        ({"size": None}, {"size": "delete-replace"}),
        ({"parts": [{"name": "c"}]}, {"parts[0].name": "update", "parts[1]": "delete"}),
        ({"tags": {"c": "1"}}, {'tags["a.b"]': "delete-replace", "tags.c": "add-replace"}),
        ({"lid": False}, {}),
        ({"lid": True}, {"lid": "add-replace"}),
    ):
        assert box.changes(TOKEN, old, old, old | new) == change
    assert box.changes(TOKEN, old | {"lid": True, "size": 7}, old, old) == {"lid": "delete-replace"}
    assert box.changes(TOKEN, old, {}, {"colour": "red"}) == {}, "imported: the program says no more"
