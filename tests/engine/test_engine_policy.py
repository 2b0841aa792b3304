"""Policy packs in the engine: what they are told, what they stop, and how it is shown."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from tests.engine.bench import Bench

PACK = """
    import json, os
    import pulumi
    from pulumi_policy import *

    def small(args, report):
        told = [args.resource_type, args.name, args.urn, args.opts.protect, args.opts.parent]
        limit = args.get_config()["limit"]
        with open("told", "a") as file:
            file.write(json.dumps([*told, limit, sorted(args.props)]) + "\\n")
        if args.resource_type == "fake:index:Thing" and args.props["size"] > limit:
            report(f"size {args.props['size']} is more than {limit}\\ntake a smaller one")

    def few(args, report):
        things = [one for one in args.resources if one.resource_type == "fake:index:Thing"]
        with open("stack", "w") as file:
            file.write(json.dumps({
                one.name: [one.props.get("link"), one.parent.name, sorted(d.name for d in one.dependencies),
                           sorted(one.property_dependencies), one.provider.name] for one in things
            }))
        if len(things) > 2:
            # They are made side by side, in an order that is chance: the second by name.
            report("too many", sorted(things, key=lambda one: one.name)[1].urn)

    PolicyPack("demo-pack", enforcement_level=EnforcementLevel.MANDATORY, policies=[
        ResourceValidationPolicy("small", "Things are small.", small, severity=Severity.HIGH,
            config_schema=PolicyConfigSchema({"limit": {"type": "integer", "default": 3}})),
        ResourceValidationPolicy("named", "Things have names.",
            lambda args, report: report("no name") if args.name == "nameless" else None,
            enforcement_level=EnforcementLevel.ADVISORY),
        StackValidationPolicy("few", "There are few things.", few,
            enforcement_level=EnforcementLevel.ADVISORY),
    ])
"""


@pytest.fixture
def pack(bench: Bench) -> Path:
    return write(bench, PACK)


def write(bench: Bench, program: str, about: str = "runtime: python\nversion: 1.2.3\n") -> Path:
    folder = bench.folder / "pack"
    folder.mkdir(exist_ok=True)
    (folder / "PulumiPolicy.yaml").write_text(about)
    (folder / "__main__.py").write_text(dedent(program))
    return folder


def saying(bench: Bench, expression: str) -> None:
    """Let the pack's policy about the stack report what an expression is."""
    head = "def few(args, report):"
    write(bench, PACK.replace(head, f"{head}\n        report(str({expression}))"))


def flags(bench: Bench, config: object = None) -> list[str]:
    words = ["--policy-pack", "pack"]
    if config is not None:
        (bench.folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
        words += ["--policy-pack-config", "config.json"]
    return words


def told(pack: Path) -> list[list[object]]:
    """What the pack was asked about."""
    return [json.loads(line) for line in (pack / "told").read_text().splitlines()]


def test_a_preview_collects_every_violation_and_fails(bench: Bench, pack: Path) -> None:
    bench.program('Thing("big", size=5)\nThing("nameless", size=1)\nThing("huge", size=9)')
    out = bench.run("preview", *flags(bench), status=1).stdout
    assert out[out.index("\nPolicies:") :].rstrip() == dedent("""
        Policies:
            ❌ demo-pack@v1.2.3 (local: pack)
                - [mandatory] [severity: high]  small  (fake:index:Thing: big)
                  Things are small.
                  size 5.0 is more than 3.0
                  take a smaller one
                - [mandatory] [severity: high]  small  (fake:index:Thing: huge)
                  Things are small.
                  size 9.0 is more than 3.0
                  take a smaller one
                - [advisory]  few  (fake:index:Thing: huge)
                  There are few things.
                  too many
                - [advisory]  named  (fake:index:Thing: nameless)
                  Things have names.
                  no name""")
    assert bench.cloud.calls == []


def test_a_preview_in_full_shows_the_policies_after_the_plan(bench: Bench, pack: Path) -> None:
    bench.program('Thing("nameless", size=1)')
    out = bench.run("preview", "--diff", *flags(bench)).stdout
    assert out.index("[urn=") < out.index("Policies:\n    ⚠️ demo-pack@v1.2.3") < out.index("\n\nResources:\n")


def test_violations_are_diagnostics_of_the_document(bench: Bench, pack: Path) -> None:
    bench.program('Thing("big", size=5)\nThing("nameless", size=1)')
    document = json.loads(bench.run("preview", "--json", *flags(bench), status=1).stdout)
    assert document["diagnostics"] == [
        {
            "urn": "urn:pulumi:dev::demo::fake:index:Thing::big",
            "message": "error: demo-pack@v1.2.3 [mandatory] [severity: high]  small  "
            "(fake:index:Thing: big)\nThings are small.\nsize 5.0 is more than 3.0\ntake a smaller one\n",
            "severity": "error",
        },
        {
            "urn": "urn:pulumi:dev::demo::fake:index:Thing::nameless",
            "message": "warning: demo-pack@v1.2.3 [advisory]  named  (fake:index:Thing: nameless)\n"
            "Things have names.\nno name\n",
            "severity": "warning",
        },
    ]
    assert document["changeSummary"] == {"create": 3}, "the plan is whole"


def test_an_update_stops_before_the_resource_is_made(bench: Bench, pack: Path) -> None:
    bench.program('a = Thing("a", size=1)\nThing("big", Opts(depends_on=[a]), size=5)')
    out = bench.up(*flags(bench), status=1).stdout
    assert "Thing big: forbidden by mandatory policy small; see Policies" in out
    assert "    ❌ demo-pack@v1.2.3 (local: pack)" in out
    assert [one["size"] for one in bench.cloud.things().values()] == [1]
    assert "Resources:" not in out, "what a mandatory violation cut short is not summed up"


def test_an_update_of_what_is_there_is_stopped_too(bench: Bench, pack: Path) -> None:
    bench.program('Thing("a", size=1)')
    bench.up(*flags(bench))
    bench.program('Thing("a", size=5)')
    bench.up(*flags(bench), status=1)
    assert [one["size"] for one in bench.cloud.things().values()] == [1]


def test_what_the_stack_s_policies_find_fails_the_update_at_its_end(bench: Bench, pack: Path) -> None:
    bench.program("for name in 'abc':\n    Thing(name, size=1)")
    out = bench.up(*flags(bench, {"few": "mandatory"}), status=1).stdout
    assert "- [mandatory]  few  (fake:index:Thing: b)" in out
    assert len(bench.cloud.things()) == 3
    assert set(bench.resources) == set("abc"), "what is there is in the state"


def test_the_stack_s_policies_see_what_is_there_and_no_more(bench: Bench, pack: Path) -> None:
    bench.program('Thing("a", size=1)\nThing("b", size=1)')
    bench.up(*flags(bench), "--target", "**::a")
    assert set(json.loads((pack / "stack").read_text())) == {"a"}


def test_what_keeps_to_the_policies_passes(bench: Bench, pack: Path) -> None:
    bench.program('Thing("a", size=1)')
    out = bench.up(*flags(bench)).stdout
    assert "\nPolicies:\n    ✅ demo-pack@v1.2.3 (local: pack)\n" in out
    assert "+ 2 created" in out


def test_an_advisory_violation_only_warns(bench: Bench, pack: Path) -> None:
    bench.program('Thing("nameless", size=1)')
    out = bench.up(*flags(bench)).stdout
    assert (
        "    ⚠️ demo-pack@v1.2.3 (local: pack)\n        - [advisory]  named  (fake:index:Thing: nameless)"
        in out
    )
    assert "+ 2 created" in out


def test_a_pack_is_told_what_the_protocol_has(bench: Bench, pack: Path) -> None:
    bench.program("""
        group = Group("group")
        a = Thing("a", Opts(parent=group, protect=True), size=1)
        b = Thing("b", Opts(parent=group), size=a.size, from_=a.link)
    """)
    bench.up(*flags(bench))
    asked = {one[1]: one for one in told(pack)}
    assert set(asked) == {"demo-dev", "default_1_0_0", "group", "a", "b"}, "components and providers, too"
    group = "urn:pulumi:dev::demo::demo:index:Group::group"
    urn = "urn:pulumi:dev::demo::demo:index:Group$fake:index:Thing::a"
    assert asked["a"] == ["fake:index:Thing", "a", urn, True, group, 3, ["name", "size"]], (
        "checked inputs, without what is internal"
    )
    stack = json.loads((pack / "stack").read_text())
    name = bench.resources["a"]["id"]
    assert stack["a"] == [f"fake://{name}", "group", [], [], "default_1_0_0"], "outputs"
    assert stack["b"][2:4] == [["a"], ["from_", "size"]]


def test_a_replacement_is_reported_once(bench: Bench, pack: Path) -> None:
    bench.program('Thing("a", size=1, kind="x")')
    bench.up()
    bench.program('Thing("a", size=5, kind="y")')
    out = bench.run("preview", *flags(bench), status=1).stdout
    assert out.count("size 5.0 is more than 3.0") == 1


def test_what_is_unknown_yet_is_no_violation(bench: Bench, pack: Path) -> None:
    bench.program('a = Thing("a", size=1)\nThing("b", size=a.link.apply(len))')
    out = bench.run("preview", *flags(bench)).stdout
    assert "[advisory]  small  (fake:index:Thing: b)" in out
    assert "can't be known during preview" in out


def test_the_config_file_sets_levels_and_properties(bench: Bench, pack: Path) -> None:
    bench.program('Thing("big", size=5)\nThing("nameless", size=1)')
    config: dict[str, object] = {"small": {"enforcementLevel": "advisory", "limit": 4}, "named": "disabled"}
    out = bench.run("preview", *flags(bench, config)).stdout
    assert "[advisory] [severity: high]  small" in out
    assert "size 5.0 is more than 4.0" in out
    assert "nameless)" not in out
    out = bench.run("preview", *flags(bench, {"all": "mandatory", "small": {"limit": 9}}), status=1).stdout
    assert "[mandatory]  named" in out
    assert "small" not in out
    bench.run("preview", *flags(bench, " "), status=1)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"smal": "disabled"}, "config.json: demo-pack has no policy smal; it has small, named, few"),
        ({"small": "remediate"}, "small: level remediate needs the Pulumi CLI"),
        ({"small": {"limit": "3"}}, "small: limit: '3' is not of type integer"),
        ({"small": {"limit": True}}, "small: limit: True is not of type integer"),
    ],
)
def test_a_config_that_the_pack_does_not_take_is_one_line(
    bench: Bench, pack: Path, config: object, message: str
) -> None:
    bench.program('Thing("a", size=1)')
    result = bench.up(*flags(bench, config), status=1)
    assert message in result.stdout
    assert bench.cloud.calls == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "--policy-pack-config config.json: not an object of levels and objects"),
        ("[]", "--policy-pack-config config.json: not an object of levels and objects"),
        ({"small": 3}, "--policy-pack-config config.json: not an object of levels and objects"),
        ({"small": "strict"}, "config.json: small: 'strict' is no level; there are advisory, mandatory"),
        ({"environments": ["dev"]}, "environments needs the Pulumi CLI"),
    ],
)
def test_a_bad_config_file_is_one_line(bench: Bench, pack: Path, config: object, message: str) -> None:
    bench.program("")
    result = bench.up(*flags(bench, config), status=1)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--policy-pack", "nowhere"],
            "policy pack nowhere: nowhere/PulumiPolicy.yaml: No such file or directory",
        ),
        (
            ["--policy-pack", "pack", "--policy-pack", "pack", "--policy-pack-config", "config.json"],
            "--policy-pack-config: give it for every --policy-pack, in the same order, or for none",
        ),
        (["--policy-pack-config", "config.json"], "--policy-pack-config: give it for every --policy-pack"),
        (["--policy-pack", "pack", "--policy-pack-config", "none.json"], "none.json: No such file"),
    ],
)
def test_a_pack_or_config_that_is_not_there_is_one_line(
    bench: Bench, pack: Path, words: list[str], message: str
) -> None:
    bench.program("")
    result = bench.run("preview", *words, status=1)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ("runtime: nodejs\n", "policy pack pack: runtime 'nodejs' needs the Pulumi CLI"),
        ("runtime: [\n", "pack/PulumiPolicy.yaml does not describe one"),
        ("version: 1\n", "pack/PulumiPolicy.yaml does not describe one: KeyError('runtime')"),
        (
            "runtime:\n  name: python\n  options: {virtualenv: venv}\n",
            "pack/venv/bin/python is missing; make the virtualenv that pack/PulumiPolicy.yaml names",
        ),
    ],
)
def test_a_pack_that_can_not_run_here_is_one_line(bench: Bench, about: str, message: str) -> None:
    write(bench, PACK, about)
    bench.program("")
    result = bench.run("preview", *flags(bench), status=1)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_pack_that_does_not_start_says_why(bench: Bench) -> None:
    bench.program('Thing("a")')
    write(bench, "import pulumi_policy\n\ndef start():\n    return {}['missing']\n\nstart()\n")
    out = bench.up(*flags(bench), status=1).stdout
    assert "policy pack pack failed to start: the program failed:" in out
    assert out.count('  File "') == 2, "its own frames"
    assert "KeyError: 'missing'" in out
    write(bench, "print('hello')")
    out = bench.up(*flags(bench), status=1).stdout
    assert "policy pack pack failed to start: it ended without a PolicyPack" in out
    assert out.count("error:") == 1
    assert bench.cloud.calls == []
    assert "❌ policy pack pack (local: pack)" in bench.run("preview", *flags(bench), status=1).stdout


def test_a_policy_that_fails_says_what_it_raised(bench: Bench) -> None:
    bench.program('Thing("a")')
    write(bench, PACK.replace("def small(args, report):", "def small(args, report):\n        {}['oops']"))
    out = bench.up(*flags(bench), status=1).stdout
    assert "error: pulumi:pulumi:Stack demo-dev: demo-pack@v1.2.3: a policy failed: Exception calling" in out
    assert "'oops'" in out
    assert "❌ demo-pack@v1.2.3" in out
    assert bench.cloud.calls == []


def test_a_pack_that_dies_on_the_way_is_told_once(bench: Bench) -> None:
    bench.program('Thing("a")')
    write(bench, PACK.replace("def small(args, report):", "def small(args, report):\n        os._exit(3)"))
    out = bench.up(*flags(bench), status=1).stdout
    assert out.count("error:") == 1
    assert bench.cloud.calls == []


def test_no_pack_outlives_an_engine_that_is_killed(bench: Bench, pack: Path) -> None:
    lock = pack / "lock"
    write(bench, f"import fcntl\nmine = open('lock', 'w')\nfcntl.flock(mine, fcntl.LOCK_EX)\n{dedent(PACK)}")
    bench.program("import time\ntime.sleep(600)")
    running = bench.start("preview", *flags(bench))
    assert eventually(lock.exists)
    assert eventually(lambda: is_held(lock))
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait().status == -signal.SIGKILL
    assert eventually(lambda: not is_held(lock)), "its process goes on"


def is_held(lock: Path) -> bool:
    """Whether a process has a lock, which ends with it."""
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether something holds before long."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_what_a_pack_prints_is_shown(bench: Bench) -> None:
    bench.program('Thing("a", size=1)')
    saying(bench, 'print("looking")')
    assert "looking\n" in bench.up(*flags(bench)).stdout


def test_a_secret_reaches_the_pack_but_not_the_display(bench: Bench) -> None:
    bench.program('Thing("a", size=1, token=pulumi.Output.secret("hunter22"))')
    saying(bench, '[one.props["token"] for one in args.resources if one.name == "a"]')
    for words in ([], ["--json"]):
        out = bench.run("preview", *words, *flags(bench)).stdout
        assert "hunter22" not in out
        assert "['[secret]']" in out


def test_the_pack_knows_stack_and_config(bench: Bench) -> None:
    (bench.folder / "state" / "Pulumi.dev.yaml").write_text("config:\n  demo:colour: red\n")
    bench.program('Thing("a", size=1)')
    facts = ["get_project()", "get_stack()", "runtime.is_dry_run()", 'Config().get("colour")']
    saying(bench, f"[{', '.join(f'pulumi.{fact}' for fact in facts)}]")
    assert "['demo', 'dev', True, 'red']" in bench.run("preview", *flags(bench)).stdout
    assert "['demo', 'dev', False, 'red']" in bench.up(*flags(bench)).stdout


def test_packs_run_side_by_side(bench: Bench, pack: Path) -> None:
    other = bench.folder / "other"
    other.mkdir()
    (other / "PulumiPolicy.yaml").write_text("runtime: python\n")
    (other / "__main__.py").write_text(dedent(PACK).replace("demo-pack", "other-pack"))
    bench.program('Thing("big", size=5)')
    out = bench.run("preview", *flags(bench), "--policy-pack", "other", status=1).stdout
    assert "❌ demo-pack@v1.2.3 (local: pack)" in out
    assert "❌ other-pack@v0.0.1 (local: other)" in out


def test_an_interrupt_of_the_terminal_does_not_reach_the_pack(bench: Bench) -> None:
    """A terminal sends it to every process of the group; the pack still has to judge what is in flight."""
    bench.program('Thing("a", size=1)')
    saying(bench, "os.getpgid(0) != os.getpgid(os.getppid())")
    assert "\n          True\n" in bench.up(*flags(bench)).stdout
