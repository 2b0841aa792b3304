"""The report: one page that needs nothing else, whatever was found."""

import re
from html.parser import HTMLParser
from pathlib import Path

from rehearsal.charts import Panel, Series, draw
from rehearsal.record import Finding, Record, load
from rehearsal.report import html
from rehearsal.verdict import Row
from tests.rehearsal.invented import count, event, joined, record, sample


def found(*, passed: bool = True) -> Record:
    made = record(
        [sample(at, count(3 + at)) for at in range(40)],
        [event(1, "step", "Rush <hour>"), joined(5), event(8, "note", "3 nodes end")],
    )
    made.findings.append(
        Finding(name="Replicas follow", letter="b", at=30, since=1, passed=passed, text="3 → 42 & more")
    )
    made.substitutions = [Row("nodes", "EKS's", "KWOK's", "only EKS makes them")]
    return made


class Loads(HTMLParser):
    """Notes what a page would load, and which of its elements are still open."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [
            f"{tag} {name}={value}" for name, value in attrs if name in ("src", "href", "xlink:href")
        ]
        if tag not in ("meta", "line", "rect", "polyline", "polygon"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("line", "rect", "polyline", "polygon"):
            assert self.open.pop() == tag


def test_the_page_loads_nothing() -> None:
    page = html(found())
    reader = Loads()
    reader.feed(page)
    assert reader.loads == []
    assert reader.open == []
    assert "url(" not in page
    assert "@import" not in page


def test_the_page_is_made_for_light_and_dark() -> None:
    assert "prefers-color-scheme: dark" in html(found())


def test_the_page_says_what_was_found_and_what_stands_in() -> None:
    page = html(found())
    for text in (
        "An invented rehearsal",
        "Passed",
        "✓ holds",
        "3 → 42 &amp; more",
        "KWOK&#39;s",
        "3 nodes end",
    ):
        assert text in page
    assert "Rush &lt;hour&gt;" in page
    assert "Rush <hour>" not in page


def test_a_rehearsal_that_failed_is_seen_to_have() -> None:
    page = html(found(passed=False))
    assert 'class="verdict bad">Failed<' in page
    assert "✗ fails" in page
    assert '<text class="number failed"' in page


def test_a_rehearsal_in_which_nothing_was_asserted_has_not_passed() -> None:
    made = found()
    made.findings.clear()
    assert "Failed" in html(made)


def test_a_record_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    found().save(file)
    assert load(file).model_dump_json() == found().model_dump_json()


def test_areas_stand_on_each_other_and_lines_do_not() -> None:
    points = [(0.0, 2.0), (10.0, 2.0)]
    areas = [Series(look, points, look, stacked=True) for look in ("c1", "c2")]
    image = draw([Panel("Nodes", [*areas, Series("c", points, "load")])], [], 10)
    heights = {
        look: {float(y) for y in re.findall(r",([\d.]+)", image.split(f'{look}" points="')[1].split('"')[0])}
        for look in ("area c1", "area c2", "line load")
    }
    assert max(heights["area c2"]) == min(heights["area c1"]) == min(heights["line load"])
