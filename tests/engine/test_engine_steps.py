"""What each resource needs, that it is done, and in which order."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench

PAIR = """
group = Group("group")
child = Opts(parent=group)
a = Thing("a", child, size=1)
b = Thing("b", child, size=a.size, parent_link=a.link)
group.register_outputs({"link": b.link})
pulumi.export("link", b.link)
"""


def test_a_second_up_changes_nothing(bench: Bench) -> None:
    bench.program(PAIR)
    out = bench.up().stdout
    assert "+ 4 created" in out
    assert list(bench.resources) == ["group", "a", "b"], "each comes after what it depends on"
    first = bench.latest["resources"]
    out = bench.up("--expect-no-changes").stdout
    assert "4 unchanged" in out
    assert bench.latest["resources"] == first, "nothing in the state moves, ciphertexts included"


def test_records_what_pulumi_records(bench: Bench) -> None:
    bench.program(PAIR)
    bench.up()
    b = bench.resources["b"]
    a_urn = "urn:pulumi:dev::demo::demo:index:Group$fake:index:Thing::a"
    assert b["parent"] == "urn:pulumi:dev::demo::demo:index:Group::group"
    assert b["dependencies"] == [a_urn]
    assert b["propertyDependencies"] == {"parent_link": [a_urn], "size": [a_urn]}
    default = next(one for one in bench.latest["resources"] if one["type"] == "pulumi:providers:fake")
    assert default["urn"] == "urn:pulumi:dev::demo::pulumi:providers:fake::default_1_0_0"
    assert default["inputs"] == {"__internal": {}, "version": "1.0.0"}
    assert b["provider"] == f"{default['urn']}::{default['id']}"


def test_updates_in_place_and_deletes_what_the_program_drops(bench: Bench) -> None:
    bench.program(PAIR)
    bench.up()
    bench.program('Thing("a", Opts(parent=Group("group")), size=2)')
    out = bench.up().stdout
    assert "~ 1 updated" in out
    assert "- 1 deleted" in out
    assert [thing["size"] for thing in bench.cloud.things().values()] == [2]
    assert bench.cloud.order("delete") == ["b"]


def test_destroy_deletes_dependents_first_and_leaves_an_empty_state(bench: Bench) -> None:
    bench.program(PAIR)
    bench.up()
    out = bench.run("destroy", "--yes").stdout
    assert "- 4 deleted" in out
    assert bench.cloud.order("delete") == ["b", "a"]
    assert bench.latest.get("resources") is None
    assert bench.cloud.things() == {}


REPLACED = """
a = Thing("a", kind="{kind}", solo={solo})
b = Thing("b", kind=a.link)
c = Thing("c", size=b.link)
d = Thing("d", kind="other")
"""


def test_a_replacement_is_made_before_the_old_one_goes(bench: Bench) -> None:
    bench.program(REPLACED.format(kind="one", solo=False))
    bench.up()
    bench.cloud.calls.clear()
    bench.program(REPLACED.format(kind="two", solo=False))
    out = bench.up().stdout
    assert "+-2 replaced" in out
    assert "~ 1 updated" in out
    calls = [(operation, name[0]) for operation, name in bench.cloud.calls]
    assert calls == [("create", "a"), ("create", "b"), ("update", "c"), ("delete", "b"), ("delete", "a")]
    assert len(bench.cloud.things()) == 4


def test_delete_before_replace_takes_the_dependents_that_must_go_with_it(bench: Bench) -> None:
    bench.program(REPLACED.format(kind="one", solo=True))
    bench.up()
    bench.cloud.calls.clear()
    bench.program(REPLACED.format(kind="two", solo=True))
    bench.up()
    calls = [(operation, name[0]) for operation, name in bench.cloud.calls]
    assert calls == [("delete", "b"), ("delete", "a"), ("create", "a"), ("create", "b"), ("update", "c")]
    assert not any(one.get("pendingReplacement") for one in bench.latest["resources"])


def test_the_program_may_overrule_how_a_replacement_is_done(bench: Bench) -> None:
    bench.program('Thing("a", Opts(delete_before_replace=False), kind="one", solo=True)')
    bench.up()
    bench.program('Thing("a", Opts(delete_before_replace=False), kind="two", solo=True)')
    bench.up()
    assert [operation for operation, _ in bench.cloud.calls] == ["create", "create", "delete"]


def test_a_failed_creation_in_a_replacement_is_made_up_for_later(bench: Bench) -> None:
    bench.program('Thing("a", kind="one", solo=True)')
    bench.up()
    bench.program('Thing("a", kind="two", solo=True, broken="yes")')
    assert "broken=yes" in bench.up(status=1).stdout
    assert bench.resources["a"]["pendingReplacement"] is True
    bench.program('Thing("a", kind="two", solo=True)')
    bench.up()
    assert [thing["kind"] for thing in bench.cloud.things().values()] == ["two"]
    assert bench.cloud.order("delete") == ["a"], "the old one was gone already"


def test_one_failure_stops_what_depends_on_it_and_keeps_what_was_made(bench: Bench) -> None:
    bench.program('a = Thing("a")\nb = Thing("b", size=a.link, broken="yes")\nThing("c", size=b.link)')
    bench.up(status=1)
    assert list(bench.resources) == ["a"]
    assert "pending_operations" not in bench.latest
    bench.program('a = Thing("a")\nb = Thing("b", size=a.link)\nThing("c", size=b.link)')
    assert "+ 2 created" in bench.up().stdout


def test_what_was_made_but_is_not_ready_is_recorded_and_tried_again(bench: Bench) -> None:
    bench.program('Thing("a", unready=True)')
    assert "is not ready" in bench.up(status=1).stdout
    assert "is not ready" in bench.resources["a"]["initErrors"][0]
    assert "~ 1 to update" in bench.run("preview").stdout
    bench.up()
    assert "initErrors" not in bench.resources["a"]
    assert len(bench.cloud.things()) == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ('ignore_changes=["size"]', "unchanged"),
        ('replace_on_changes=["size"]', "+-1 replaced"),
        ("", "~ 1 updated"),
    ],
)
def test_options_decide_what_a_change_means(bench: Bench, options: str, expected: str) -> None:
    bench.program(f'Thing("a", Opts({options}), size=1)')
    bench.up()
    bench.program(f'Thing("a", Opts({options}), size=2)')
    assert expected in bench.up().stdout


def test_protected_resources_are_neither_deleted_nor_replaced(bench: Bench) -> None:
    bench.program('Thing("a", Opts(protect=True), kind="one")')
    bench.up()
    bench.program('Thing("a", Opts(protect=True), kind="two")')
    assert "as it is currently marked for protection" in bench.up(status=1).stdout
    bench.program("")
    assert "cannot be deleted\nbecause it is protected" in bench.up(status=1).stdout
    assert "because it is protected; to" in bench.run("destroy", "--yes", status=1).stdout
    bench.program('for name in "abc":\n    Thing(name, Opts(protect=True), kind="one")')
    bench.up()
    assert "because it is protected, as are 2 more; to" in bench.run("destroy", "--yes", status=1).stdout
    assert len(bench.cloud.things()) == 3


def test_retained_resources_leave_the_state_and_stay(bench: Bench) -> None:
    bench.program('Thing("a", Opts(retain_on_delete=True))')
    bench.up()
    bench.program("")
    bench.up()
    assert bench.resources == {}
    assert len(bench.cloud.things()) == 1


def test_a_rename_with_an_alias_replaces_nothing(bench: Bench) -> None:
    bench.program(PAIR)
    bench.up()
    bench.program(
        PAIR.replace('Group("group")', 'Group("team", Opts(aliases=[pulumi.Alias(name="group")]))').replace(
            '"a", child', '"first", Opts(parent=group, aliases=[pulumi.Alias(name="a")])'
        )
    )
    assert "4 unchanged" in bench.up("--expect-no-changes").stdout
    assert list(bench.resources) == ["team", "first", "b"]
    assert bench.resources["b"]["dependencies"] == [bench.resources["first"]["urn"]]


def test_an_import_takes_over_what_exists(bench: Bench) -> None:
    (bench.cloud.folder / "old.json").write_text('{"name": "old", "size": 3}')
    bench.program('Thing("a", Opts(import_="old"), name="old", size=4)')
    out = bench.up().stdout
    assert "= 1 imported" in out
    assert bench.cloud.things()["old"]["size"] == 4
    assert "2 unchanged" in bench.up("--expect-no-changes").stdout
    bench.program('Thing("b", Opts(import_="none"), name="none")')
    assert "Thing::b: none does not exist" in bench.up(status=1).stdout


def test_refresh_takes_over_what_is_there_and_drops_what_is_gone(bench: Bench) -> None:
    bench.program(PAIR)
    bench.up()
    assert "Resources:\n    4 unchanged\n" in bench.run("refresh", "--yes").stdout, "group and stack too"
    a, b = (bench.resources[name]["id"] for name in "ab")
    (bench.cloud.folder / f"{a}.json").unlink()
    file = bench.cloud.folder / f"{b}.json"
    file.write_text(file.read_text().replace('"size": 1', '"size": 7'))
    out = bench.run("refresh", "--yes").stdout
    assert "- 1 deleted" in out
    assert "~ 1 updated" in out
    assert "a" not in bench.resources
    assert bench.resources["b"]["outputs"]["size"] == 7
    assert "dependencies" not in bench.resources["b"]
    assert "+ 1 created" in bench.up().stdout


def test_up_after_a_refresh_repairs_drift(bench: Bench) -> None:
    bench.program('Thing("a", size=1)')
    bench.up()
    file = next(bench.cloud.folder.glob("*.json"))
    file.write_text(file.read_text().replace('"size": 1', '"size": 7'))
    assert "unchanged" in bench.up("--expect-no-changes").stdout, "drift is only seen when it is looked for"
    bench.run("refresh", "--yes")
    assert "~ 1 to update" in bench.run("preview").stdout
    bench.up()
    assert [thing["size"] for thing in bench.cloud.things().values()] == [1]


def test_targets_leave_the_rest_alone(bench: Bench) -> None:
    bench.program('Thing("a", size=1)\nThing("b", size=1)\nThing("c", size=1)')
    bench.up()
    bench.program('Thing("a", size=2)\nThing("b", size=2)\nThing("new")')
    bench.up("--target", "**Thing::a")
    sizes = {name: one["outputs"]["size"] for name, one in bench.resources.items()}
    assert sizes == {"a": 2, "b": 1, "c": 1}
    bench.run("destroy", "--yes", "--target", "urn:pulumi:dev::demo::fake:index:Thing::c")
    assert set(bench.resources) == {"a", "b"}


def test_a_targeted_destroy_names_dependents(bench: Bench) -> None:
    bench.program('a = Thing("a")\nThing("b", size=a.link)\nThing("c")')
    bench.up()
    message = bench.run("destroy", "--yes", "--target", "**::a", status=1).stdout
    assert "Thing::b" in message
    assert "add it to --target" in message
    bench.run("destroy", "--yes", "--target", "**::a", "--target", "**::b")
    assert set(bench.resources) == {"c"}


def test_explicit_providers_are_configured_and_inherited(bench: Bench) -> None:
    bench.program("""
        other = pulumi.ProviderResource("fake", "other", {"region": "here"}, Opts(version="1.0.0"))
        Thing("a", Opts(parent=Group("group", Opts(providers=[other]))))
    """)
    bench.up()
    provider = next(one for one in bench.latest["resources"] if one["type"] == "pulumi:providers:fake")
    assert provider["inputs"] == {"__internal": {}, "region": "here", "version": "1.0.0"}
    assert bench.resources["a"]["provider"] == f"{provider['urn']}::{provider['id']}"
    assert "4 unchanged" in bench.up("--expect-no-changes").stdout


def test_previews_know_what_they_can_and_call_the_rest_unknown(bench: Bench) -> None:
    bench.program(PAIR)
    plan = bench.preview()
    assert [step["op"] for step in plan["steps"]] == ["create"] * 4
    b = plan["steps"][3]["newState"]
    assert b["inputs"]["size"] == 1
    assert b["inputs"]["parent_link"] == "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    assert plan["changeSummary"] == {"create": 4}
    assert bench.cloud.calls == []
    assert not bench.state_file.exists()


def test_expect_no_changes_fails_when_there_are_some(bench: Bench) -> None:
    bench.program('Thing("a")')
    assert "no changes were expected" in bench.run("preview", "--expect-no-changes", status=1).stderr
    assert "no changes were expected" in bench.up("--expect-no-changes", status=1).stderr


def test_works_on_many_things_at_once_but_no_more_than_told(bench: Bench) -> None:
    import threading

    at_once, most = 0, 0
    lock, full = threading.Lock(), threading.Barrier(3)

    def before(operation: str, name: str) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        full.wait(20)  # passes only when three are under way
        with lock:
            at_once -= 1

    bench.cloud.before = before
    bench.program('for n in range(9):\n    Thing(f"t{n}")')
    bench.up("--parallel", "3")
    assert most == 3


def test_a_plan_shows_the_lines_that_change_in_a_text(bench: Bench) -> None:
    bench.program('Thing("a", text="one\\ntwo\\nthree\\nfour\\nfive\\n")')
    bench.up()
    bench.program('Thing("a", text="one\\ntwo\\n3\\nfour\\nfive\\n")')
    shown = bench.run("preview", "--diff").stdout
    changed = shown.partition("~ text:")[2].splitlines()[1:6]
    assert [line.strip() for line in changed] == ["...", "two", "- three", "+ 3", "four"]
