"""What is read from a run of load, and when it fails: with a k6 that answers as it is told."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops import load, pgbench
from ops.stack import StackError
from rehearsal.programs import K6, Module
from stacks.alerts import AlertSettings
from tests.ops.conftest import Checkout

PATH = os.environ["PATH"]
"""As it is: a checkout of these tests has another."""
PLAIN = {"url": "https://localhost:8443", "apiKey": "omx-key", "version": "0.2.0"}
OUTPUTS = PLAIN | {"caCertificate": "CA"}
REPORT = {"requests a second": 500.0, "p99 without a model, ms": 4.0}
SAID = """\
transaction type: <stdin>
number of clients: 16
number of failed transactions: 0 (0.000%)
latency average = 3.204 ms
tps = 4993.1 (without initial connection time)
"""
PLAYER = f"""\
#!{sys.executable}
import json, os, pathlib, sys

here = pathlib.Path(".")
told = json.loads(os.environ["TOLD"])
file = here / "secrets" / "stack.json"
seen = {{"words": sys.argv[1:], "script": (here / "scenario.js").read_text()}}
seen |= {{"stack": json.loads(file.read_text()), "mode": file.stat().st_mode & 0o777}}
pathlib.Path(os.environ["SEEN"]).write_text(json.dumps(seen))
(here / "summary.json").write_text(json.dumps(told["metrics"]))
sys.exit(told["status"])
"""


def metrics(rate: float = 500, p99: float = 4, held: bool = True) -> dict[str, Any]:
    """Return what k6 says of the scenario ``report``."""
    return {
        "http_reqs": {"values": {"rate": rate, "count": 1000}, "thresholds": {"rate>400": {"ok": held}}},
        "http_req_duration{kind:quick}": {"values": {"p(99)": p99}, "thresholds": {"p(99)<25": {"ok": True}}},
    }


@pytest.fixture
def player(embedded: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """Return a checkout whose stack is up, with a k6 that answers as ``TOLD`` says."""
    program = tmp_path / "bin" / "k6"
    program.write_text(PLAYER)
    program.chmod(0o755)
    monkeypatch.setattr(Module, "built", lambda module: {K6.name: program.parent}[module.name])
    monkeypatch.setenv("ANSWER", json.dumps(OUTPUTS))
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    monkeypatch.setenv("TOLD", json.dumps({"status": 0, "metrics": metrics()}))
    return embedded


def kept(checkout: Checkout, version: str) -> Path:
    return checkout.stack.state / "load" / "some" / "report" / f"{version}.json"


def keep(checkout: Checkout, version: str, **measures: float) -> None:
    file = kept(checkout, version)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(REPORT | measures))


def test_a_scenario_is_played_with_the_stacks_numbers_and_its_result_is_kept(
    player: Checkout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    player.stack.settings_file.write_text(
        "config:\n  ollamamax:target: docker\n"
        "  ollamamax:alerts: {platformMs: {target: 5, warning: 7, critical: 9}}\n"
    )
    load.load(player.stack, "report", 12)
    seen = json.loads((tmp_path / "seen").read_text())
    assert "p(99)<7.0" in seen["script"]
    assert "duration: '12s'" in seen["script"]
    assert seen["stack"] == {"url": OUTPUTS["url"], "key": OUTPUTS["apiKey"]}
    assert seen["mode"] == 0o600
    assert OUTPUTS["apiKey"] not in " ".join(seen["words"]) + seen["script"]
    assert json.loads(kept(player, "0.2.0").read_text()) == REPORT
    assert "no release before" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rate", "p99", "worse"),
    [(451, 4.3, ""), (449, 4, "requests a second"), (500, 4.5, "p99 without a model, ms"), (9000, 0.1, "")],
)
def test_more_than_a_tenth_worse_than_the_release_before_fails(
    player: Checkout, monkeypatch: pytest.MonkeyPatch, rate: float, p99: float, worse: str
) -> None:
    for version, before in (("0.0.9", 1.0), ("0.1.0", 500.0), ("0.3.0", 9999.0)):
        keep(player, version, **{"requests a second": before})
    monkeypatch.setenv("TOLD", json.dumps({"status": 0, "metrics": metrics(rate, p99)}))
    if not worse:
        load.load(player.stack, "report", None)
        assert kept(player, "0.2.0").exists()
        return
    with pytest.raises(StackError) as failed:
        load.load(player.stack, "report", None)
    assert str(failed.value) == f"report is more than 10% worse than 0.1.0: {worse}"
    assert not kept(player, "0.2.0").exists(), "the next release is not compared with a bad one"


def test_a_crossed_threshold_fails_and_is_named(player: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"status": load.CROSSED, "metrics": metrics(held=False)}
    monkeypatch.setenv("TOLD", json.dumps(told))
    with pytest.raises(StackError, match=r"^report: http_reqs is not rate>400$"):
        load.load(player.stack, "report", None)
    assert not kept(player, "0.2.0").exists()


def test_a_player_that_fails_is_told(player: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLD", json.dumps({"status": 107, "metrics": {}}))
    with pytest.raises(StackError, match=r"^k6 ended with status 107; the messages above say why$"):
        load.load(player.stack, "report", None)


def test_a_run_without_an_answer_is_told(player: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLD", json.dumps({"status": 0, "metrics": {}}))
    with pytest.raises(
        StackError, match=r"^report measured no requests a second: not one request was answered$"
    ):
        load.load(player.stack, "report", None)


@pytest.mark.parametrize("name", ["", "reprot"])
def test_an_unknown_scenario_is_told_with_those_there_are(player: Checkout, name: str) -> None:
    with pytest.raises(
        StackError, match=r"^SCENARIO=\S+: there are cache, database, ramp, report, soak, sock"
    ):
        load.load(player.stack, name, None)


def test_a_stack_that_is_not_up_is_told(player: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWER", "{}")
    with pytest.raises(
        StackError, match=r"^the stack has no output apiKey: make up STACK=some brings it up$"
    ):
        load.load(player.stack, "report", None)


def test_pgbenchs_measures_are_read_and_a_failed_transaction_fails() -> None:
    assert pgbench.measured(SAID) == {pgbench.RATE: 4993.1, pgbench.LATENCY: 3.204}
    with pytest.raises(StackError, match="pgbench: 3 transactions failed"):
        pgbench.measured(SAID.replace("transactions: 0", "transactions: 3"))


class Answers(http.server.BaseHTTPRequestHandler):
    """A stack that answers at once."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.answer(b'{"models": [{"name": "tiny:latest"}]}')

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert asked["model"] == "tiny:latest"
        self.answer(b'{"done":true}')

    def answer(self, body: bytes) -> None:
        good = self.headers["Authorization"] == f"Bearer {OUTPUTS['apiKey']}"
        self.send_response(200 if good else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """Return the address of such a stack."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as found:
        serving = threading.Thread(target=found.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        serving.join()


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(load.SCENARIOS.keys() - {load.DATABASE, "sockets"}))
def test_k6_plays_and_measures_every_scenario(
    embedded: Checkout, monkeypatch: pytest.MonkeyPatch, server: str, name: str
) -> None:
    monkeypatch.setenv("PATH", PATH)
    monkeypatch.setenv("ANSWER", json.dumps(PLAIN | {"url": server}))
    numbers = "{target: 20, warning: 10, critical: 5}"
    slow = "{target: 1000, warning: 2000, critical: 3000}"
    embedded.stack.settings_file.write_text(
        "config:\n  ollamamax:target: docker\n"
        f"  ollamamax:alerts: {{throughput: {numbers}, platformMs: {slow}}}\n"
    )
    load.load(embedded.stack, name, 2)
    (kept_one,) = (embedded.stack.state / "load" / "some" / name).iterdir()
    measures = json.loads(kept_one.read_text())
    assert measures.keys() == load.SCENARIOS[name].measures.keys()
    assert all(value > 0 for value in measures.values())


@pytest.mark.long
def test_a_stack_that_lets_nobody_in_fails_the_run(
    embedded: Checkout, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    monkeypatch.setenv("PATH", PATH)
    monkeypatch.setenv("ANSWER", json.dumps(PLAIN | {"url": server, "apiKey": "another"}))
    with pytest.raises(StackError, match=r"http_req_failed is not rate<0\.01"):
        load.load(embedded.stack, "cache", 1)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(load.SCENARIOS.keys() - {load.DATABASE}))
def test_k6_accepts_every_scenario(name: str, tmp_path: Path) -> None:
    text = load.script(name, kpi=AlertSettings(), seconds=10, summary="stdout")
    (tmp_path / "scenario.js").write_text(text)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "stack.json").write_text("{}")
    words = [str(K6.built() / "k6"), "inspect", "--execution-requirements", "scenario.js"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for _, (metric, _) in load.SCENARIOS[name].measures.items():
        tagged = "{" in metric
        assert not tagged or metric in json.loads(done.stdout)["thresholds"], "k6 keeps no tagged metric else"
