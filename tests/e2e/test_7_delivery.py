"""Releases under load: bad ones take themselves back, good ones go through, and kept ones come back.

What it measures goes into docs/delivery.md: pytest -m long -s tests/e2e/test_7_delivery.py
"""

import os
import signal
import subprocess
import time
from contextlib import nullcontext, suppress

import pytest

from ops.delivery.swap import Aliases
from ops.stack import StackError
from tests.e2e.conftest import STACK, Platform, docker
from tests.e2e.delivering import Load, changed
from tests.e2e.test_5_changes import refused
from tests.e2e.waiting import eventually
from tests.e2e.watching import Watchers

pytestmark = pytest.mark.long

WATCH_S, SETTLE_S = 40, 5
MEAN = "sum(rate(ollamamax_overhead_seconds_sum[1m])) / sum(rate(ollamamax_overhead_seconds_count[1m]))"


@pytest.fixture(scope="module")
def ready(platform: Platform) -> Platform:
    """The stack with shorter steps, and its release written down."""
    platform.checkout.settings(release={"watchS": WATCH_S, "settleS": SETTLE_S})
    up = platform.checkout.make("up")
    assert up.status == 0, up.text
    return platform


def gateways() -> dict[str, str]:
    """Return the images that gateways run, by container."""
    names = docker("ps", "--filter", f"label=ollamamax.stack={STACK}", "--format", "{{.Names}} {{.Image}}")
    found = dict(line.split(" ") for line in names.splitlines())
    return {name: image for name, image in found.items() if "-gateway-" in name}


def running(platform: Platform) -> str:
    """Return the line of the release that runs."""
    listed = platform.checkout.make("releases")
    assert listed.status == 0, listed.text
    (line,) = [one for one in listed.text.splitlines() if one.rstrip().endswith("runs")]
    return line


def reported(what: str, load: Load, took_s: float, capsys: pytest.CaptureFixture[str]) -> None:
    """Show what a release cost its clients."""
    lost = 100 * load.bad / load.all
    with capsys.disabled():
        print(f"\n{what}: {load.all:,} requests, {lost:.3f} % failed ({dict(load.results)}), {took_s:.0f} s")
        for error in load.errors[:5]:
            print(f"  {error}")


@pytest.mark.parametrize(
    ("how", "why"),
    [("fails", "requests failed"), ("slow", "longer in it than beside it"), ("leaks", "its memory grew")],
)
def test_a_bad_release_takes_itself_back_under_load(
    ready: Platform, how: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before, line = gateways(), running(ready)
    with Load(ready).running() as load:
        slower_s = 0.3 * mean_s(ready) if how == "slow" else 0.0
        with changed(ready.checkout, how, slower_s):
            begun = time.monotonic()
            done = ready.checkout.make("release")
    said = [one for one in done.text.splitlines() if "was taken back" in one]
    with capsys.disabled():
        print("\n" + "\n".join(said or done.text.splitlines()[-20:]))
    reported(f"a release that {how}", load, time.monotonic() - begun, capsys)
    assert done.status != 0, done.text
    assert len(said) == 1, "it says why in one line"
    assert why in said[0]
    assert load.bad < 0.001 * load.all, load.errors[:5]
    assert gateways() == before
    assert running(ready) == line


def test_a_good_one_goes_through_and_nothing_fails_or_is_cut(
    ready: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    before = gateways()
    with Load(ready).running() as load, changed(ready.checkout, "good"):
        begun = time.monotonic()
        done = ready.checkout.make("release")
    reported("a good release", load, time.monotonic() - begun, capsys)
    assert done.status == 0, done.text
    assert load.bad == 0, load.errors[:5]
    after = gateways()
    assert after.keys() == before.keys(), "what it was tried with is gone"
    assert not set(after.values()) & set(before.values())

    with Load(ready).running() as load:
        begun = time.monotonic()
        back = ready.checkout.make("rollback")
    reported("a rollback", load, time.monotonic() - begun, capsys)
    assert back.status == 0, back.text
    assert gateways() == before
    assert load.bad == 0, load.errors[:5]


def test_one_is_held_and_its_command_killed_and_the_next_one_says_so(ready: Platform) -> None:
    before = gateways()
    with Load(ready).running(), changed(ready.checkout, "good"):
        held = ready.checkout.make("release", f"STACK={STACK}", "UNTIL=5")
        assert held.status == 0, held.text
        assert "is held at 5 %" in held.text
        assert len(gateways()) == 2 * len(before)
        refused(ready.checkout.make("up"), "is being tried", f"make rollback STACK={STACK}")
        killed_at(ready, "promote", "25 % of the requests")
        again = ready.checkout.make("rollback")
        assert again.status == 0, again.text
        assert "is taken back" in again.text
        assert gateways() == before
        killed_at(ready, "release", "5 % of the requests")
        assert len(gateways()) == 2 * len(before)
        done = ready.checkout.make("release")
        assert done.status == 0, done.text
        assert "was left unfinished at 5 %: it is taken back first" in done.text
    assert len(gateways()) == len(before)


def test_a_model_takes_the_place_of_another_behind_an_alias(
    ready: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    for worker in (1, 2):
        copied = docker("exec", f"ollamamax-{STACK}-worker-{worker}", "ollama", "cp", "tiny", "mine")
        assert "copied" in copied
    aliases = Aliases(lambda: nullcontext(ready.url), ready.key, ready.ca.read_text())
    eventually(lambda: is_alias(aliases), 30, "the workers' models are known")
    with Load(ready, "chat").running() as load:
        begun = time.monotonic()
        done = ready.checkout.make("swap", f"STACK={STACK}", "ALIAS=chat", "MODEL=mine", "SLOWER=100")
        compared = ready.checkout.make("compare", f"STACK={STACK}", "ALIAS=chat", "MINUTES=10")
    reported("a model swap", load, time.monotonic() - begun, capsys)
    assert done.status == 0, done.text
    assert [one["model"] for one in aliases.get("chat")] == ["mine"]
    assert load.bad == 0, load.errors[:5]
    assert compared.status == 0, compared.text
    assert "there and tried: " in compared.text
    assert "% sure" in compared.text


def is_alias(aliases: Aliases) -> bool:
    """Make the alias, if the platform knows its model already; tell whether it is there."""
    with suppress(StackError):
        aliases._ask("PUT", "chat", {"targets": [{"model": "tiny"}], "fallbacks": []})
        return True
    return False


def killed_at(platform: Platform, command: str, line: str) -> None:
    """Kill a command as soon as it has said ``line``."""
    root = platform.checkout.root
    words = [str(root / ".venv" / "bin" / "python"), "-u", "-m", "ops", command, "--stack", STACK]
    with subprocess.Popen(words, cwd=root, env=os.environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for said in process.stdout:
            if said.rstrip().endswith(line):
                break
        process.send_signal(signal.SIGKILL)


def mean_s(platform: Platform) -> float:
    """Return what the gateways add to a request on average, seconds, after a minute of it."""
    time.sleep(60)
    watchers = Watchers(platform)
    (found,) = watchers.query(MEAN)
    watchers.close()
    return float(found["value"][1])
