"""What users hear about their program, and what the engine leaves to the CLI."""

from __future__ import annotations

import json

import pytest

from tests.engine.bench import Bench


def test_a_bug_of_the_program_shows_the_program_s_own_frames(bench: Bench) -> None:
    bench.program("def boom():\n    return {}['missing']\nThing('a')\nboom()")
    out = bench.up(status=1).stdout
    assert "the program failed:" in out
    assert out.count('  File "') == 2, "two frames of the program, none of the engine's or the SDK's"
    assert "KeyError: 'missing'" in out


def test_a_bug_in_an_apply_shows_it_too(bench: Bench) -> None:
    bench.program("Thing('a').link.apply(lambda link: link.missing)")
    out = bench.up(status=1).stdout
    assert "AttributeError: 'str' object has no attribute 'missing'" in out
    assert "site-packages" not in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise pulumi.RunError('size: 0 is less than 1')", "error: size: 0 is less than 1\n"),
        ("import sys\nsys.exit(3)", "error: the program ended with 3\n"),
        ("Thing('a', size='bad')", "Thing a: size: 'bad' is no number; give one\n"),
        ("Thing('a')\nThing('a')", "Duplicate resource URN"),
    ],
)
def test_an_error_is_one_line(bench: Bench, text: str, message: str) -> None:
    bench.program(text)
    result = bench.up(status=1)
    assert message in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert (result.stdout + result.stderr).count("error:") == 1


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("pulumi.runtime.register_resource_transform(lambda args: None)\nThing('a')", "a transform"),
        (
            "hook = pulumi.ResourceHook('h', lambda args: None)\n"
            "Thing('a', Opts(hooks=pulumi.ResourceHookBinding(before_create=[hook])))",
            "a hook",
        ),
        ("pulumi.CustomResource('cloudy:index:Thing', 'a', {})", "package cloudy"),
        ("Thing.get('a', 'theirs', Opts(version='1.0.0'))", "Resource.get"),
        ("Thing('a', Opts(custom_timeouts=pulumi.CustomTimeouts(create='9s')))", "custom_timeouts"),
        ("Thing('a', Opts(ignore_changes=['list[*]']))", "a * in ignore_changes"),
        ("pulumi.ComponentResource('fake:index:Remote', 'a', {}, remote=True)", "a remote component"),
    ],
)
def test_what_the_engine_does_not_do_is_refused_in_a_sentence(bench: Bench, text: str, what: str) -> None:
    bench.program(text)
    out = bench.up(status=1).stdout
    assert f"{what} needs the Pulumi CLI" in out
    assert "Traceback" not in out
    assert bench.cloud.things() == {}


def test_a_failing_preview_fails(bench: Bench) -> None:
    bench.program("Thing('a', size='bad')")
    assert "'bad' is no number" in bench.run("preview", status=1).stdout
    assert "'bad' is no number" in bench.run("preview", "--json", status=1).stderr


def test_what_the_program_prints_does_not_spoil_the_document(bench: Bench) -> None:
    bench.program("print('hello')\npulumi.log.warn('careful')")
    document = bench.preview()
    assert document["diagnostics"] == [{"message": "warning: careful\n", "severity": "warning"}]
    assert "hello" in bench.up().stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no Pulumi.yaml in"),
        ("name: demo\nruntime: nodejs\n", "runtime 'nodejs' needs the Pulumi CLI"),
        ("runtime: python\n", "name is missing"),
        ("name: [\n", "not YAML"),
        ("name: demo\nruntime: python\nmain: nowhere.py\n", "the program is missing"),
    ],
)
def test_a_bad_project_file_is_one_line(bench: Bench, text: str | None, message: str) -> None:
    file = bench.folder / "Pulumi.yaml"
    file.unlink()
    if text is not None:
        file.write_text(text)
    result = bench.up(status=1)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_commands_on_a_stack_that_is_not_there_say_so(bench: Bench) -> None:
    bench.program("")
    for command in ("outputs", "export"):
        assert "no stack named 'dev'" in bench.run(command, status=1).stderr
    for command in ("refresh", "destroy"):
        assert "no stack named 'dev'" in bench.run(command, "--yes", status=1).stderr
    assert "--yes must be passed" in bench.run("up", status=1).stderr


def test_what_the_sdk_logs_for_itself_costs_no_call(bench: Bench) -> None:
    bench.program("""
        from pulumi.runtime import settings
        monitor, calls = settings.get_engine(), []
        real = monitor.Log
        monitor.Log = lambda request: (calls.append(request.message), real(request))
        Thing("a")
        pulumi.log.info("told")
        pulumi.export("calls", calls)
    """)
    assert bench.up().status == 0
    outputs = json.loads(bench.run("outputs", "--json").stdout)
    assert outputs == {"calls": ["told"]}


def test_the_sdk_waits_for_registrations_not_for_each_output(bench: Bench) -> None:
    """What it does for outputs while registrations are under way takes the square of their number."""
    bench.program("""
        import asyncio
        waited, real = [], asyncio.wait
        asyncio.wait = lambda these, **how: (waited.append(len(these)), real(these, **how))[1]
        things = [Thing(f"thing-{number}") for number in range(10)]
        links = pulumi.Output.all(*[thing.link for thing in things])
        pulumi.export("waited", links.apply(lambda _: list(waited)))
    """)
    bench.up()
    outputs = json.loads(bench.run("outputs", "--json").stdout)
    assert outputs == {"waited": []}
