"""The benchmark's own parts: what they count is right."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import parts
from bench.__main__ import main
from bench.report import Found, Round, chart, table
from bench.workloads import DIRECT, GATEWAY, NGINX, Workload

ANY_CORE = 0


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parts.build_load(tmp_path_factory.mktemp("load"))


@pytest.fixture(scope="session")
def mock(load: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port, output = parts.free_port(), tmp_path_factory.mktemp("mock") / "log"
    with parts.process([str(load), "mock", "--listen", f"127.0.0.1:{port}"], ANY_CORE, output):
        parts.wait_for(port, "/", output)
        yield port


def drive(load: Path, port: int, *options: str) -> dict[str, Any]:
    command = [str(load), "drive", "--address", f"127.0.0.1:{port}", "--length", "200ms", *options]
    result: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return result


def test_whole_answers_are_counted(load: Path, mock: int) -> None:
    result = drive(load, mock, "--clients", "2")
    assert result["requests"] > 0
    assert (result["tokens"], result["failed"], result["statuses"]) == (0, 0, {})


def test_the_tokens_of_streams_are_counted(load: Path, mock: int) -> None:
    result = drive(load, mock, "--stream", "--clients", "2")
    assert result["tokens"] == 65 * result["requests"] > 0, "64 tokens, and the message that ends a stream"


def test_large_prompts_arrive(load: Path, mock: int) -> None:
    result = drive(load, mock, "--large", "0.5", "--clients", "2")
    assert result["requests"] > 0
    assert result["failed"] == 0


def test_requests_are_sent_at_the_rate_asked_for(load: Path, mock: int) -> None:
    assert drive(load, mock, "--rate", "100")["requests"] == 20


def test_a_stream_that_breaks_off_is_a_failure(load: Path, mock: int) -> None:
    result = drive(load, mock, "--stream", "--model", "cut", "--clients", "1")
    assert result["requests"] == 0
    assert result["failed"] > 0


@pytest.mark.parametrize(("model", "status"), [("busy", "429"), ("broken", "500")])
def test_another_status_is_counted_by_itself(load: Path, mock: int, model: str, status: str) -> None:
    result = drive(load, mock, "--model", model)
    assert result["requests"] == 0
    assert list(result["statuses"]) == [status]


def found(ours: float, theirs: float) -> Found:
    def rounds(cost: float) -> list[Round]:
        return [Round(cost * spread, 1000, 1, 2, 20, 0) for spread in (1, 0.9, 1.1)]

    workload = Workload("w1", "small", (), aim=1.5)
    return Found(workload, {DIRECT: rounds(0), NGINX: rounds(theirs), GATEWAY: rounds(ours)})


@pytest.mark.parametrize(("ours", "verdict"), [(28, "≤ 1.5 × nginx: met"), (32, "≤ 1.5 × nginx: missed")])
def test_the_table_says_whether_an_aim_is_met(ours: float, verdict: str) -> None:
    assert verdict in table([found(ours, 20)])


@pytest.mark.parametrize(("percent", "verdict"), [(2, "met (1.50)"), (1, "missed (1.50)")])
def test_the_table_says_what_share_of_two_cores_is_used(percent: float, verdict: str) -> None:
    one = found(30, 20)
    workload = replace(one.workload, aim=None, cpu_percent=percent)
    assert f"≤ {percent} % of two cores: {verdict}" in table([replace(one, workload=workload)])


def test_the_table_says_what_is_added_to_the_backend_s_time() -> None:
    one = found(30, 20)
    workload = replace(one.workload, aim=None, added_p99_ms=0.3)
    assert "≤ 0.3 ms added to p99: met (0.00)" in table([replace(one, workload=workload)])


def test_the_chart_has_a_bar_for_each_process_that_was_measured() -> None:
    drawn = chart([found(30, 20)])
    assert ">30.0<" in drawn
    assert ">20.0<" in drawn
    assert "direct" not in drawn


def test_a_process_that_works_uses_cpu(tmp_path: Path) -> None:
    with parts.process([sys.executable, "-c", "while True: pass"], ANY_CORE, tmp_path / "log") as pid:
        used = 0.0
        while used < 0.05:  # the test's own time limit ends it
            used = parts.usage(pid).cpu_s


def test_an_unknown_workload_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--workloads", "w1,w99"])
    assert "w99: there are " in capsys.readouterr().err
