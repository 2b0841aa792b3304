"""Traces are read as they are, and what is wrong with one is said exactly."""

from pathlib import Path

import pytest

from rehearsal.replay.traces import Bins, Requests, TraceError, read

FOLDER = Path(__file__).parents[3] / "rehearsal" / "traces"


def written(folder: Path, *lines: str) -> Path:
    file = folder / "trace.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_the_coding_trace_is_three_days_of_10_s() -> None:
    trace = read(FOLDER / "azure-llm-2024-coding-10s-days1-3.csv")
    assert isinstance(trace, Bins)
    assert trace.known.all()
    assert (trace.width_s, trace.counts.size) == (10, 25_920)
    assert (trace.counts[:2].tolist(), trace.counts.max()) == ([146, 238], 874)


@pytest.mark.parametrize(("name", "requests"), [("conv", 19_366), ("code", 8_819)])
def test_the_traces_of_2023_have_a_request_a_row(name: str, requests: int) -> None:
    trace = read(FOLDER / f"azure-llm-2023-{name}-requests.csv")
    assert isinstance(trace, Requests)
    assert trace.at.size == requests
    assert trace.at[0] == 0


def test_a_minute_s_bins_are_read_with_any_way_to_write_a_time(tmp_path: Path) -> None:
    trace = read(
        written(
            tmp_path,
            "\ufeffbin_start_utc,requests,note",
            "2024-05-10T00:00:00Z,5,",
            "2024-05-10 00:01:00.000,7,x",
            "2024-05-10T02:02:00+02:00,9,",
            "",
        )
    )
    assert isinstance(trace, Bins)
    assert (trace.width_s, trace.counts.tolist()) == (60, [5, 7, 9])


def test_a_gap_is_bridged_between_levels_and_known_as_one(tmp_path: Path) -> None:
    lines = [f"2024-05-10 00:{minute:02}:00,{100 if minute < 20 else 200}" for minute in range(60)]
    trace = read(written(tmp_path, "bin_start_utc,requests", *lines[:10], *lines[30:]))
    assert isinstance(trace, Bins)
    assert trace.counts.size == 60
    assert not trace.known[10:30].any()
    assert trace.known[:10].all()
    assert trace.known[30:].all()
    assert 100 < trace.counts[20] < 200


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["time,count"],
            "line 1: columns time, count: a trace has either bin_start_utc, requests or TIMESTAMP",
        ),
        ([""], "line 1: columns (none): a trace has either"),
        (["bin_start_utc,requests"], "0 rows: a trace has at least two"),
        (
            ["bin_start_utc,requests", "2024-05-10 00:00:00,1", "10.05.2024,2"],
            "line 3, column bin_start_utc: '10.05.2024': a time in UTC is written 2024-05-10 00:00:00",
        ),
        (
            ["bin_start_utc,requests", "2024-05-10 00:00:00,many"],
            "line 2, column requests: 'many': a whole number is wanted",
        ),
        (
            ["bin_start_utc,requests", "2024-05-10 00:00:00,nan"],
            "line 2, column requests: 'nan': a whole number is wanted",
        ),
        (
            ["bin_start_utc,requests", "2024-05-10 00:00:00,1.5"],
            "line 2, column requests: '1.5': a whole number from 0 to 10000000 is wanted",
        ),
        (
            ["TIMESTAMP,ContextTokens,GeneratedTokens", "2024-05-10 00:00:00,1,-5"],
            "line 2, column GeneratedTokens: '-5': a whole number from 0 to 10000000 is wanted",
        ),
        (
            ["bin_start_utc,requests", "2024-05-10 00:00:00"],
            "line 2: 1 columns, bin_start_utc, requests were announced",
        ),
        (
            ["bin_start_utc,requests", "2024-05-10 00:00:10,1", "2024-05-10 00:00:00,1"],
            "line 3, column bin_start_utc: 2024-05-10 00:00:00 is not after the line before",
        ),
        (
            [
                "bin_start_utc,requests",
                *(f"2024-05-10 00:00:{second:02},1" for second in (0, 10, 20, 33, 40, 50)),
            ],
            "line 5, column bin_start_utc: 2024-05-10 00:00:33.000000: most bins are 10 s wide",
        ),
        (
            [
                "TIMESTAMP,ContextTokens,GeneratedTokens",
                "2024-05-10 00:00:10,1,1",
                "2024-05-10 00:00:00,1,1",
            ],
            "line 3, column TIMESTAMP: 2024-05-10 00:00:00.000000 is before the line before",
        ),
        (
            ["bin_start_utc,requests", '2024-05-10 00:00:00,"1', *["2024-05-10 00:00:10,1"] * 10_000],
            "field larger than field limit (131072): is a quotation mark not closed?",
        ),
        (
            ["bin_start_utc,requests", "2024-05-10 00:00:00,1", "2024-05-10 00:00:10,1", "2204-05-10,1"],
            "from 2024-05-10 to 2204-05-10 are 65,743 days: a trace has at most 31; replay a part of it",
        ),
        (
            ["TIMESTAMP,ContextTokens,GeneratedTokens", "2024-05-10,1,1", "2024-06-10,1,1"],
            "from 2024-05-10 to 2024-06-10 are 31 days: a trace has at most 31",
        ),
        (
            ["bin_start_utc,requests", *(f"2024-05-10 00:00:0{place},9000000" for place in range(6))],
            "54,000,000 requests: a trace has at most 50,000,000; replay a part of it",
        ),
    ],
)
def test_a_bad_trace_is_refused_with_its_place_and_the_way_out(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(TraceError) as refused:
        read(written(tmp_path, *lines))
    assert message in str(refused.value)
    assert "trace.csv" in str(refused.value)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"nothing\.csv: No such file"):
        read(tmp_path / "nothing.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TraceError, match="not a text in UTF-8"):
        read(tmp_path / "binary.csv")
