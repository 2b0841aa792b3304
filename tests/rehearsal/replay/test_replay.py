"""The command, from a trace to its figures."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from rehearsal.replay.__main__ import TRACE, main
from rehearsal.replay.policies import flaps
from rehearsal.replay.traces import Bins, read

HOURS = 4
WEEK_REQUESTS = 10_000_000
POLICIES = {
    "static peak",
    "plain HPA",
    "the report's numbers",
    "this stack, reactive",
    "this stack, predicting",
    "perfect forecast",
    "oracle",
}


def short(folder: Path, hours: int = HOURS, begin_h: int = 12) -> Path:
    """Return hours of the trace's first day, as a file."""
    header, *lines = TRACE.read_text().splitlines()
    file = folder / "short.csv"
    file.write_text("\n".join([header, *lines[begin_h * 360 : (begin_h + hours) * 360]]) + "\n")
    return file


def test_a_trace_becomes_a_table_a_chart_and_all_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "out.json"
    arguments = ["--trace", str(short(tmp_path)), "--startup", "60", "--out", str(out), "--seed", "3"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert all(f"| {policy} |" in said.out for policy in POLICIES)
    assert "Simulated" in said.out
    assert "forecasting" in said.err
    found = json.loads(out.read_text())
    assert found["policies"].keys() == POLICIES
    assert found["simulated"].startswith("requests, workers")
    assert (found["inputs"]["startup_s"], found["inputs"]["seed"]) == (60, 3)
    assert found["inputs"]["bin_s"] == 10
    for policy in POLICIES:
        figures = found["policies"][policy]
        assert figures["comparable"], f"{policy} is later than it may be"
        assert figures["replica_hours_over_oracle"] >= 1, f"{policy} beats the oracle"
    chart = out.with_suffix(".svg").read_text()
    assert chart.startswith("<svg")
    assert "Simulated" in chart
    assert chart.count("<rect") == 1 + 3 * len(POLICIES)
    main(arguments)
    assert json.loads(out.read_text()) == found, "the same seed gives the same figures"


def test_a_trace_with_a_request_a_row_and_one_with_gaps_are_scored(tmp_path: Path) -> None:
    requests = TRACE.parent / "azure-llm-2023-code-requests.csv"
    out = tmp_path / "out.json"
    assert main(["--trace", str(requests), "--out", str(out)]) == 0
    assert json.loads(out.read_text())["inputs"]["requests"] == 8819
    gaps = short(tmp_path)
    lines = gaps.read_text().splitlines()
    gaps.write_text("\n".join(lines[:400] + lines[700:]) + "\n")
    assert main(["--trace", str(gaps), "--out", str(out)]) == 0
    inputs = json.loads(out.read_text())["inputs"]
    assert inputs["missing_bins"] == 300
    assert inputs["scored_requests"] < inputs["requests"]


def test_what_comes_before_the_scored_part_is_history(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert main(["--trace", str(short(tmp_path)), "--out", str(out), "--score-from", "2024-05-10T15:00"]) == 0
    inputs = json.loads(out.read_text())["inputs"]
    assert inputs["scored_days"] == pytest.approx(1 / 24)
    assert inputs["scored_from"] == "2024-05-10T15:00:00+00:00"


def test_a_policy_that_cannot_be_brought_to_the_lateness_is_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header, *lines = short(tmp_path, hours=1).read_text().splitlines()
    heavy = [f"{line.split(',')[0]},{20 * int(line.split(',')[1])}" for line in lines]
    file = tmp_path / "heavy.csv"
    file.write_text("\n".join([header, *heavy]) + "\n")
    assert main(["--trace", str(file), "--out", str(tmp_path / "out.json")]) == 0
    marked = [line for line in capsys.readouterr().out.splitlines() if "too late to be compared" in line]
    assert any("this stack, predicting" in line for line in marked), "50 replicas are too few"
    assert not any("oracle |" in line for line in marked)


def test_a_trace_without_requests_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "idle.csv"
    file.write_text("bin_start_utc,requests\n2024-05-10 00:00:00,0\n2024-05-10 00:00:10,0\n")
    assert main(["--trace", str(file), "--out", str(tmp_path / "out.json")]) == 1
    assert "not one request counts" in capsys.readouterr().err


def test_a_trace_that_wants_more_than_any_cluster_has_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "crowd.csv"
    file.write_text("bin_start_utc,requests\n2024-05-10 00:00:00,90000\n2024-05-10 00:00:10,90000\n")
    assert main(["--trace", str(file), "--out", str(tmp_path / "out.json")]) == 1
    assert "replicas: the replay goes up to 1,000; share the requests" in capsys.readouterr().err


def test_results_that_cannot_be_written_are_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["--out", str(tmp_path / "file" / "out.json")]) == 1
    said = capsys.readouterr().err
    assert said == f"error: --out: cannot write {tmp_path / 'file'}: File exists\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trace", "nothing.csv"], "error: nothing.csv: No such file or directory"),
        (["--stack", "local"], "error: stack local has no pool : it has none"),
        (["--stack", "nowhere"], "error: stack nowhere: cannot read"),
        (["--score-from", "2023-01-01"], "error: --score-from: 2023-01-01 00:00:00 is not within"),
    ],
)
def test_what_can_be_foreseen_is_said_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*arguments, "--out", str(tmp_path / "out.json")]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--startup", "0"], "--startup: 0 is not from 1 to 3600"),
        (["--node-delay", "9999"], "--node-delay: 9999 is not from 0 to 3600"),
        (["--out", "out.txt"], "--out: out.txt does not end in .json"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("counts", "number"),
    [([3, 3, 4, 4], 0), ([4, 3, 4], 1), ([4, 3, 3, 3, 4], 0), ([4, 3, 2, 3, 4, 3, 4], 2), ([5], 0)],
)
def test_a_flap_is_a_step_up_soon_after_a_step_down(counts: list[int], number: int) -> None:
    assert flaps(np.array(counts), 2) == number


@pytest.mark.long
@pytest.mark.parametrize("startup_s", [60, 120, 180, 600])
def test_on_the_third_day_prediction_is_never_later_and_does_not_flap_more(
    startup_s: int, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    assert main(["--startup", str(startup_s), "--score-from", "2024-05-12", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["prediction"]["never_later_than_its_twin"]
    assert found["prediction"]["no_more_flaps_than_its_twin"]
    assert found["prediction"]["share_of_the_gap_to_a_perfect_forecast_closed"] > 0


@pytest.mark.long
def test_a_week_of_ten_million_requests_takes_less_than_a_minute_of_one_core(tmp_path: Path) -> None:
    trace = read(TRACE)
    assert isinstance(trace, Bins)
    days = trace.counts.reshape(3, -1)
    week = np.concatenate([days[day] for day in (0, 1, 2, 0, 0, 0, 0)])
    counts = np.rint(week * (WEEK_REQUESTS / week.sum())).astype(np.int64)
    begins = (datetime.fromtimestamp(trace.start + 10 * place, UTC) for place in range(counts.size))
    file = tmp_path / "week.csv"
    lines = (f"{begin:%Y-%m-%d %H:%M:%S},{count}\n" for begin, count in zip(begins, counts, strict=True))
    file.write_text("bin_start_utc,requests\n" + "".join(lines))
    before = time.process_time()
    assert main(["--trace", str(file), "--out", str(tmp_path / "out.json")]) == 0
    assert time.process_time() - before < 60
