"""The report of a rehearsal: one HTML file that needs nothing else, made from the record alone."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rehearsal.charts import Mark, Panel, Series, clock, draw
from rehearsal.record import GENERAL, Nodes, Record, Sample

TEMPLATE = Path(__file__).with_name("report.html.j2")
NEAR_S = 0.5
"""An assertion is about the step that was noted right then."""
COLOURS = ("c1", "c2", "c3", "c4", "c5", "c6")


def html(record: Record) -> str:
    """Return the page."""
    loader = FileSystemLoader(TEMPLATE.parent)
    environment = Environment(
        loader=loader, undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    steps = [event for event in record.events if event.kind in ("step", "rollout", "note")]
    findings = sorted(record.findings, key=lambda finding: (finding.letter, finding.at))
    return environment.get_template(TEMPLATE.name).render(
        record=record,
        steps=steps,
        findings=findings,
        clock=clock,
        tiles=tiles(record),
        timeline=timeline(record),
    )


def tiles(record: Record) -> list[tuple[str, str]]:
    """Return the numbers that sum a rehearsal up, each with what it is."""
    passed, all_ = sum(finding.passed for finding in record.findings), len(record.findings)
    found = [(f"{passed} of {all_}", "assertions hold")]
    if not record.samples:
        return found
    for name in record.expected.workloads:
        counts = [sample.workloads[name].ready for sample in record.samples]
        found.append((f"{min(counts)} – {max(counts)}", f"{name} ready"))
    spot = max(sample.gpu_nodes("spot") for sample in record.samples)
    most = max(sample.gpu_nodes() for sample in record.samples)
    found.append((f"{most}", f"GPU nodes at the most, up to {spot} on spot"))
    peak, bound = max(sample.cost_hour for sample in record.samples), record.expected.cost_most_hour
    found.append((f"${peak:,.0f}", f"an hour at the peak; the estimate’s most is ${bound:,.0f}"))
    found.append((clock(record.samples[-1].at), "minutes were played"))
    return found


def timeline(record: Record) -> Markup:
    """Return the diagrams of everything that was sampled."""
    if not record.samples:
        return Markup("")
    failed = [finding.since for finding in record.findings if not finding.passed]
    marks = [
        Mark(event.at, number, failed=any(abs(since - event.at) < NEAR_S for since in failed))
        for number, event in enumerate((e for e in record.events if e.kind == "step"), 1)
    ]
    return draw(list(_panels(record)), marks, record.samples[-1].at)


def _panels(record: Record) -> Iterator[Panel]:
    samples = record.samples
    for index, (name, bounds) in enumerate(record.expected.workloads.items()):
        colour, counts = COLOURS[index % len(COLOURS)], [(one.at, one.workloads[name]) for one in samples]
        ready, wanted = ([(at, one.ready) for at, one in counts], [(at, one.wanted) for at, one in counts])
        series = [
            Series("ready", ready, f"{colour} fill", stacked=True),
            Series("wanted", wanted, f"{colour} wanted"),
        ]
        if bounds.slots:
            load = [(one.at, one.load.get(name, 0.0) / bounds.slots) for one in samples]
            series.append(Series("load, in busy replicas", load, "load"))
        yield Panel(f"{name}: replicas, {bounds.least} to {bounds.most}", series)
    yield _nodes(samples, "pool and capacity type", _bought)
    yield _nodes(samples, "zone", lambda node: node.zone)
    waiting = [(one.at, sum(count.waiting for count in one.workloads.values())) for one in samples]
    yield Panel("Pods that wait for a node", [Series("pods", waiting, "c4 fill", stacked=True)])
    yield Panel(
        "Wait for a slot, 95th percentile, seconds (simulated)",
        [
            Series(
                name, [(one.at, one.slot_wait_ms.get(name, 0.0) / 1000) for one in samples], COLOURS[index]
            )
            for index, name in enumerate(sorted(samples[0].slot_wait_ms))
        ],
    )
    costs = [(one.at, one.cost_hour) for one in samples]
    most = [(one.at, record.expected.cost_most_hour) for one in (samples[0], samples[-1])]
    yield Panel(
        "Cost of all nodes, USD an hour, list prices",
        [Series("cost", costs, "c5 fill", stacked=True), Series("most of the estimate", most, "most")],
    )


def _bought(node: Nodes) -> str:
    return node.pool if node.pool == GENERAL else f"{node.pool}, {node.capacity}"


def _nodes(samples: Sequence[Sample], by: str, group: Callable[[Nodes], str]) -> Panel:
    """Return the nodes over time, in groups that stand on each other."""
    names = sorted({group(node) for sample in samples for node in sample.nodes})
    counts = [(one.at, Counter[str]()) for one in samples]
    for sample, (_, count) in zip(samples, counts, strict=True):
        for node in sample.nodes:
            count[group(node)] += node.count
    series = [
        Series(name, [(at, count[name]) for at, count in counts], colour, stacked=True)
        for name, colour in zip(names, cycle(COLOURS), strict=False)
    ]
    return Panel(f"Nodes by {by}", series)
