"""The benchmark's own parts: what they count is right."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bench import machine
from bench.__main__ import main
from bench.cost import carried
from bench.machine import BenchError
from bench.report import Column, Counted, Found, Round, chart, counted_table, table
from bench.stage import in_turns
from bench.traffic import Load, Target, ask, build_load, counts, ended, finished
from bench.workloads import CACHED, DIRECT, GATEWAY, NGINX, UNCACHED, Workload

ANY_CORE = 0
SEED = 7000


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    return build_load(tmp_path_factory.mktemp("load"))


@pytest.fixture
def mock(load: Load) -> Iterator[str]:
    with load.mocks(1) as addresses:
        yield addresses[0]


def drive(load: Load, address: str, *options: str) -> dict[str, Any]:
    return load.drive(Target(address, 0), SEED, "--length", "200ms", *options)


def test_whole_answers_are_counted(load: Load, mock: str) -> None:
    result = drive(load, mock, "--clients", "2")
    assert result["requests"] > 0
    assert (result["tokens"], result["failed"], result["silent"], result["statuses"]) == (0, 0, 0, {})


def test_the_tokens_of_streams_are_counted(load: Load, mock: str) -> None:
    result = drive(load, mock, "--stream", "--clients", "2")
    assert result["tokens"] == 65 * result["requests"] > 0, "64 tokens, and the message that ends a stream"


def test_a_stream_s_first_token_and_pace_are_those_of_the_model(load: Load, mock: str) -> None:
    result = drive(load, mock, "--stream", "--model", "paced", "--clients", "1", "--each", "1")
    assert 5 <= result["first_p50_ms"] < result["p50_ms"]
    assert 0 < result["pace"] <= 210, "a token every 5 ms"


def test_large_prompts_arrive(load: Load, mock: str) -> None:
    result = drive(load, mock, "--send", "large", "--share", "0.5", "--clients", "2")
    assert result["requests"] > 0
    assert result["failed"] == 0


def test_every_part_of_the_mix_is_answered(load: Load, mock: str) -> None:
    result = drive(load, mock, "--send", "mix", "--clients", "1", "--each", "100", "--length", "10s")
    assert (result["requests"], result["tokens"]) == (100, 20 * 65)


def test_requests_are_sent_at_the_rate_asked_for(load: Load, mock: str) -> None:
    assert drive(load, mock, "--rate", "100")["requests"] == 20


@pytest.mark.parametrize(("model", "fault"), [("paced", "cut"), ("cut", "none")])
def test_a_stream_that_breaks_off_and_says_nothing_is_silent(
    load: Load, mock: str, model: str, fault: str
) -> None:
    ask(mock, f"/fault/{fault}")
    result = drive(load, mock, "--stream", "--model", model, "--clients", "1", "--each", "1")
    assert (result["requests"], result["reported"], result["silent"]) == (0, 0, 1)


@contextmanager
def answering(text: bytes) -> Iterator[str]:
    """Answer the first two connections; the first is a probe."""

    def serve() -> None:
        server.accept()[0].close()
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(text)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nword\n\r\n"


@pytest.mark.parametrize(
    ("ending", "what"),
    [
        (b'14\r\n{"error":"it died"}\n\r\n', "reported"),
        (b'14\r\n{"error":"it died"}\n\r\n0\r\n\r\n', "reported"),
        (b"0\r\n\r\n", "silent"),
        (b"", "silent"),
    ],
)
def test_an_early_end_is_known_by_what_it_says(load: Load, ending: bytes, what: str) -> None:
    with answering(STREAM + ending) as address:
        result = drive(load, address, "--stream", "--clients", "1", "--each", "1")
    assert {name: result[name] for name in ("requests", "reported", "silent", "failed")} == {
        **dict.fromkeys(("requests", "reported", "silent", "failed"), 0),
        what: 1,
    }


@pytest.mark.parametrize("status", ["429", "500"])
def test_another_status_is_counted_by_itself(load: Load, mock: str, status: str) -> None:
    ask(mock, f"/fault/{status}")
    result = drive(load, mock)
    assert result["requests"] == 0
    assert list(result["statuses"]) == [status]


def test_models_are_loaded_and_make_way_for_each_other(load: Load) -> None:
    options = ("--models", "3", "--room", "2", "--loading", "1ms")
    with load.mocks(1, *options) as addresses:
        drive(load, addresses[0], "--models", "3", "--clients", "1", "--each", "30", "--length", "10s")
        seen = counts(addresses)
    assert seen["asked"] == 30
    assert 3 < seen["loads"] < 30
    assert seen["waited"] == seen["loads"], "one client at a time"


def test_a_turn_is_warm_where_the_one_before_was_answered(load: Load) -> None:
    with load.mocks(2) as addresses:
        for address in addresses:
            drive(
                load, address, "--send", "conversations", "--clients", "1", "--each", "20", "--length", "10s"
            )
        assert (counts(addresses)["turns"], counts(addresses)["warm"]) == (36, 36)


def test_identical_requests_are_identical(load: Load, mock: str) -> None:
    drive(load, mock, "--send", "same", "--model", "paced", "--clients", "3", "--each", "1")
    assert list(ended([mock])) == [SEED]


def test_the_backend_sees_that_a_client_has_left(load: Load, mock: str) -> None:
    result = drive(
        load, mock, "--model", "paced", "--stream", "--leave", "20ms", "--clients", "1", "--each", "1"
    )
    left = {int(n): when for n, when in result["left"].items()}
    assert left.keys() == ended([mock]).keys() == {SEED}
    assert ended([mock])[SEED] < left[SEED] + 200_000_000, "long before the answer's own end"


class FakeHub(BaseHTTPRequestHandler):
    """Tells every WebSocket whether the node is drained, when that changes."""

    protocol_version = "HTTP/1.1"
    sockets: ClassVar[list[socket.socket]] = []

    def do_GET(self) -> None:
        # Before its client can know: the first change may follow at once.
        self.sockets.append(self.connection)
        self.send_response(101)
        self.end_headers()
        with suppress(ConnectionResetError):  # by the one that has not read all
            self.connection.recv(1)  # until it leaves

    def do_POST(self) -> None:
        drained = str(self.path.endswith("/drain")).lower()
        text = f'[{{"type":"state","topic":"nodes","key":"n","value":{{"drained":{drained}}}}}]'.encode()
        for client in self.sockets:
            client.sendall(bytes((0x81, len(text))) + text)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_what_websockets_are_told_is_counted(load: Load) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeHub) as server:
        threading.Thread(target=server.serve_forever).start()
        target = Target(f"127.0.0.1:{server.server_address[1]}", 0)
        options = ("--clients", "3", "--stalled", "1", "--node", "n", "--length", "2s")
        seen = finished(load.watch(target, *options))
        server.shutdown()
    assert (seen["changes"], seen["told"], seen["messages"], seen["ended"]) == (2, 4, 1, 0)
    assert 0 < seen["p50_ms"] < 1000


def test_a_generator_that_fails_is_an_error(load: Load) -> None:
    with pytest.raises(BenchError, match="exit status 1"):
        drive(load, "127.0.0.1:1")


def test_all_targets_take_turns_in_each_round() -> None:
    assert list(in_turns(("a", "b"), 2)) == [(0, "a"), (0, "b"), (1, "b"), (1, "a")]


@pytest.mark.parametrize(("most_ms", "rate"), [(100, 1000), (60, 490), (1, 57.6)])
def test_a_rate_is_one_that_the_generator_carries_or_the_least(most_ms: float, rate: float) -> None:
    assert carried(1000, lambda rate: rate / 10, most_ms) == pytest.approx(rate, rel=0.01)


def found(ours: float, theirs: float, **workload: Any) -> Found:
    def rounds(cost: float) -> list[Round]:
        return [Round(cost * spread, 0.03, 1000, 1, 2, 20, 0) for spread in (1, 0.9, 1.1)]

    kind = Workload("w1", "small", (), **workload)
    return Found(kind, {DIRECT: rounds(0), NGINX: rounds(theirs), GATEWAY: rounds(ours)})


@pytest.mark.parametrize(
    ("aim", "verdict"),
    [
        ({"aim": 1.5}, "≤ 1.5 × nginx: met (1.40)"),
        ({"aim": 1.3}, "≤ 1.3 × nginx: missed (1.40)"),
        ({"cpu_percent": 2}, "≤ 2 % of two cores: met (1.50)"),
        ({"cpu_percent": 1}, "≤ 1 % of two cores: missed (1.50)"),
        ({"added_p99_ms": 0.3}, "≤ 0.3 ms added to p99: met (0.00)"),
        ({"p99_ms": 1}, "≤ 1 ms p99: missed (2.00)"),
        ({"p99_ms": 3, "share_of_peak": 0.5, "direct_p99_ms": 2}, "≤ 3 ms p99: met (2.00)"),
        (
            {"p99_ms": 3, "share_of_peak": 0.5, "direct_p99_ms": 1},
            "not measured: p99 without a proxy is 2.00 ms, and may be 1 ms",
        ),
    ],
)
def test_the_table_says_whether_an_aim_is_met(aim: dict[str, float], verdict: str) -> None:
    assert verdict in table([found(28, 20, **aim)])


@pytest.mark.parametrize(("cost", "verdict"), [(10, "met (3.00)"), (15, "missed (2.00)")])
def test_an_answer_from_memory_is_compared_with_one_from_the_backend(cost: float, verdict: str) -> None:
    both = [replace(found(30, 20), workload=UNCACHED), replace(found(cost, 20), workload=CACHED)]
    assert f"≥ 3 × as many as uncached: {verdict}" in table(both)


def test_the_chart_has_a_bar_for_each_process_that_was_measured() -> None:
    drawn = chart([found(30, 20)])
    assert ">30.0<" in drawn
    assert ">20.0<" in drawn
    assert "direct" not in drawn


def test_what_is_counted_is_judged_by_its_worst_round() -> None:
    counted = Counted("w9", "faults", (Column("good"), Column("lost", most=0), Column("late", most=10)))
    for lost in (0, 0, 1):
        counted.add("killed", GATEWAY, 100, lost, 10)
        counted.add("killed", NGINX, 99, 5, 20)
    text = counted_table(counted)
    assert "| killed | gateway | 100 | 0 (0–1) | 10 | lost ≤ 0: missed, late ≤ 10: met |" in text
    assert "| killed | nginx | 99 | 5 | 20 |  |" in text


def test_a_process_that_works_uses_cpu(tmp_path: Path) -> None:
    with machine.process([sys.executable, "-c", "while True: pass"], ANY_CORE, tmp_path / "log") as pid:
        used = 0.0
        while used < 0.05:  # the test's own time limit ends it
            used = machine.usage(pid).cpu_s


def test_an_unknown_workload_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--workloads", "w1,w99"])
    assert "w99: there are " in capsys.readouterr().err


def test_an_unknown_kind_of_request_is_refused(load: Load) -> None:
    done = subprocess.run(
        [load.program, "drive", "--send", "nothing"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, '--send: there is no "nothing"\n')
