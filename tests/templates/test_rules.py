"""Every alert fires when it should, alone, and is silent when something is only nearly wrong."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml
from docker.models.containers import Container

from components.rules import rules
from stacks.loading import read
from stacks.settings import Settings
from tests.containers import build
from tests.metrics import RUNBOOKS, asked, made, named_in, panels
from tests.templates.rendered import archive, run_in

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "rules"
HEALTHY: Mapping[str, str] = yaml.safe_load((FOLDER / "healthy.yml").read_text())
CASES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "cases.yml").read_text())
SECTIONS = ("## Meaning", "## Impact", "## Diagnosis", "## Mitigation")
STORAGE_GIB = 100
FIRING = 'count by (alertname, severity) (ALERTS{alertstate="firing"})'


@dataclass(frozen=True)
class Alert:
    """An alert of the rules."""

    name: str
    severity: str
    runbook: str


def every_rule() -> Mapping[str, str]:
    """Return all rule files that there are: those of one machine, and those of a stack on AWS."""
    prod = read(ROOT / "stacks" / "Pulumi.prod.yaml", "prod")
    assert prod.aws is not None
    assert prod.aws.database.storage_gib == STORAGE_GIB
    here = Settings(target="docker")
    return {**rules(prod), **rules(here)}


def alerts() -> list[Alert]:
    """Return every alert, by severity."""
    return [
        Alert(rule["alert"], rule["labels"]["severity"], rule["annotations"]["runbook"])
        for text in every_rule().values()
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]


def as_test(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return a case as promtool takes it: exactly these alerts fire."""
    after = case.get("after", "20m")
    minutes = int(after[:-1]) * {"m": 1, "h": 60, "d": 1440}[after[-1]]
    series = {
        name: values.replace("xN", f"x{minutes}") for name, values in {**HEALTHY, **case["series"]}.items()
    }
    fires = [tuple(one.split("/")) for one in case.get("fires", [])]
    return {
        "name": case["case"],
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f"{FIRING} > bool 0",
                "eval_time": after,
                "exp_samples": [
                    {"labels": f'{{alertname="{name}", severity="{severity}"}}', "value": 1}
                    for name, severity in fires
                ],
            }
        ],
    }


@pytest.fixture(scope="module")
def promtool() -> Iterator[Container]:
    """A container with promtool, the rules and the cases."""
    client = docker.from_env()
    files = dict(every_rule())
    for index, case in enumerate(CASES):
        files[f"case-{index}.yml"] = json.dumps(
            {
                "rule_files": sorted(every_rule()),
                # Days of minutes would take minutes.
                "evaluation_interval": "5m" if case.get("after", "20m")[-1] in "hd" else "1m",
                "tests": [as_test(case)],
            }
        )
    container = client.containers.create(build("prometheus"), entrypoint=["sleep", "infinity"])
    try:
        container.put_archive("/etc/ollamamax", archive(files, {}))
        container.start()
        yield container
    finally:
        container.remove(force=True, v=True)
        client.close()


@pytest.fixture(scope="module")
def verdicts(promtool: Container) -> Mapping[int, str]:
    """What promtool says of each case. It judges all at once: to start it takes longer than a case."""
    names = [f"/etc/ollamamax/case-{index}.yml" for index in range(len(CASES))]
    said = run_in(promtool, "promtool", "test", "rules", *names).stdout
    return {int(number): text for number, text in re.findall(r"case-(\d+)\.yml\n((?:(?!Unit).*\n)*)", said)}


def test_promtool_accepts_every_rule(promtool: Container) -> None:
    names = [f"/etc/ollamamax/{name}" for name in every_rule()]
    result = run_in(promtool, "promtool", "check", "rules", "--lint-fatal", *names)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("index", range(len(CASES)), ids=[case["case"] for case in CASES])
def test_exactly_these_alerts_fire(verdicts: Mapping[int, str], index: int) -> None:
    assert verdicts[index].strip() == "SUCCESS"


def test_promtool_accepts_every_query_of_dashboards_and_runbooks(promtool: Container) -> None:
    queries = [
        {"record": f"panel:{number}", "expr": expr} for number, expr in enumerate([*panels(), *asked()])
    ]
    document = json.dumps({"groups": [{"name": "panels", "rules": queries}]})
    promtool.put_archive("/etc/ollamamax", archive({"panels.yml": document}, {}))
    result = run_in(promtool, "promtool", "check", "rules", "/etc/ollamamax/panels.yml")
    assert result.returncode == 0, result.stdout
    assert f"{len(queries)} rules found" in result.stdout


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    fired = {one for case in CASES for one in case.get("fires", [])}
    assert fired == {f"{alert.name}/{alert.severity}" for alert in alerts()}


def test_every_alert_has_a_case_that_comes_near_and_is_silent() -> None:
    changed = {name.partition("{")[0] for case in CASES if "fires" not in case for name in case["series"]}
    recorded = {rule["record"]: named_in(rule["expr"]) for rule in made() if "record" in rule}
    for rule in made():
        if "alert" in rule:
            direct = named_in(rule["expr"])
            behind = direct.union(*(recorded[name] for name in direct & recorded.keys()))
            assert behind & changed, f"{rule['alert']}: nothing comes near it"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    for alert in alerts():
        assert alert.runbook == f"docs/runbooks/{alert.name}.md"
    pages = {file.stem for file in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == {alert.name for alert in alerts()}
    listed = re.findall(r"\[(\w+)\]\((\w+)\.md\)", (RUNBOOKS / "README.md").read_text())
    assert sorted(listed) == [(page, page) for page in sorted(pages)]


def test_what_keeps_an_alert_quiet_is_an_alert_and_so_is_what_is_kept_quiet() -> None:
    names = {alert.name for alert in alerts()}
    jobs = set(
        re.findall(r"job_name: (\w+)", (FOLDER.parent / "golden/prometheus/prometheus.yml").read_text())
    )
    config = (FOLDER.parent / "golden/alertmanager/alertmanager.yml").read_text()
    for label, pattern in re.findall(r'(alertname|job)=~?"([^"]+)"', config):
        for word in pattern.split("|"):
            known = names if label == "alertname" else jobs
            assert any(re.fullmatch(word, name) for name in known), word


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("[A-Z]*[a-z].md")), ids=lambda page: page.stem)
def test_a_runbook_says_what_it_means_and_what_to_do(page: Path) -> None:
    text = page.read_text()
    assert text.startswith(f"# {page.stem}\n")
    assert [line for line in text.splitlines() if line.startswith("## ")] == list(SECTIONS)
    assert "```sh" in text.partition("## Diagnosis")[2].partition("## Mitigation")[0], (
        "no command to look with"
    )
