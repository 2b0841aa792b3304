"""A second opinion that nobody here wrote: other people's tools judge what a stack would make.

checkov reads the plan in Terraform's words, checkov and kube-score the Kubernetes objects, and kubeconform
compares these with the schemas of a real API server. What they find is fixed, or waived with a reason.
``python -m ops.second_opinion STACK``.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

import stacks
from ops import export, judges
from ops.stack import ROOT, Stack, StackError
from rehearsal.processes import RehearsalError

BOOTSTRAP = ROOT / "bootstrap"
WAIVERS = ROOT / "policies" / "waivers.yaml"
ALL_OK = 10
"""The best of kube-score's grades."""
Names = Annotated[tuple[str, ...], Field(min_length=1)]


@dataclass(frozen=True, order=True)
class Finding:
    """What a tool says about one resource."""

    resource: str
    """Terraform's address, or kind and name: ``aws_s3_bucket.models``, ``Deployment/gateway``."""
    check: str
    """The tool's own name of the check: ``CKV_AWS_18``."""
    message: str
    tool: str


class Waiver(BaseModel):
    """Findings of one check that stay, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: str
    resources: Names
    """As findings name them; ``*`` stands for what settings name."""
    reason: Annotated[str, Field(min_length=20)]
    stacks: Names | None = None
    """The stacks that it is about; None is all of them."""


@dataclass(frozen=True)
class Judged:
    """What was found, sorted by the waivers."""

    open: list[Finding]
    waived: list[Finding]
    unused: list[str]
    """Waivers that waive nothing, as ``check resource``."""


def simulated(stack: str, settings_file: Path) -> list[dict[str, Any]]:
    """Return all that a stack would have on AWS, Cloudflare and its cluster, what it needs before included.

    It is brought up in the simulated cloud, so that nothing is unknown: a preview knows no policy in which
    the ARN of a new resource stands.

    Raises:
        StackError: if there is nothing to judge, or the engine fails; it has said why.
        SettingsError: if the settings do not describe a platform.
    """
    target = stacks.read(settings_file, stack).target
    if target == "docker":
        raise StackError(f"stack {stack}: nothing to judge: target docker has no cloud and no cluster")
    # Only stacks on AWS share a state, and so need a bootstrap.
    programs = [ROOT, BOOTSTRAP] if target == "aws" else [ROOT]
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda program: _up(program, stack, settings_file), programs)
        return [one for resources in found for one in resources]


def _up(program: Path, stack: str, settings_file: Path) -> list[dict[str, Any]]:
    """Bring a program up in a simulated cloud of its own, and return its resources."""
    with tempfile.TemporaryDirectory() as state:
        settings = Path(state) / settings_file.name  # the engine writes its salt into it
        settings.write_text(settings_file.read_text())
        env = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": "nothing here lasts",
            "PYTHONPATH": str(ROOT),
        }
        options = ["--simulate", "--stack", stack, "--config-file", str(settings)]

        def engine(*words: str) -> str:
            done = subprocess.run(  # noqa: S603 - our own words
                [sys.executable, "-m", "engine", *words, *options],
                cwd=program, env=env, stdout=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise StackError(f"engine {' '.join(words)} failed:\n{done.stdout}")
            return done.stdout

        engine("up", "--yes")
        return export.resources(json.loads(engine("export")))


def find(resources: list[dict[str, Any]]) -> set[Finding]:
    """Return what the tools find in resources, as an engine exports them.

    Raises:
        StackError: if a tool cannot be had, or did not look at everything.
        ExportError: if a resource cannot be told in Terraform's words.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan, objects = export.write(resources, folder)
        files = [f"{key}.yaml" for key in objects]
        templates = [body.get("spec", {}).get("template", {}) for body in objects.values()]
        workloads = sum("containers" in template.get("spec", {}) for template in templates)
        found = set(_checkov(folder, len(plan["resource_changes"]), workloads))
        if files:
            found.update(_kube_score(folder, files), _kubeconform(folder, files))
    for chart in export.charts(resources):
        found.add(
            Finding(chart, "chart", "its objects are not in the stack: nobody looked at them", "export")
        )
    return found


def judge(found: set[Finding], stack: str, waivers: list[Waiver]) -> Judged:
    """Return which findings stay open and which the waivers for this stack take away."""
    here = [one for one in waivers if one.stacks is None or stack in one.stacks]
    pairs = {(waiver.check, pattern) for waiver in here for pattern in waiver.resources}
    used = {
        (check, pattern): hit
        for check, pattern in pairs
        if (hit := {one for one in found if one.check == check and fnmatchcase(one.resource, pattern)})
    }
    waived = set[Finding]().union(*used.values())
    unused = sorted(" ".join(pair) for pair in pairs - used.keys())
    return Judged(sorted(found - waived), sorted(waived), unused)


def read_waivers(file: Path = WAIVERS) -> list[Waiver]:
    """Read the file of waivers.

    Raises:
        StackError: if it is not what it should be; the message names every place.
    """
    try:
        return TypeAdapter(list[Waiver]).validate_python(yaml.safe_load(file.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise StackError(f"{file}: {error}") from error
    except ValidationError as error:
        problems = [f"  {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise StackError("\n".join([f"{file}:", *problems])) from error


def _checkov(folder: Path, planned: int, workloads: int) -> Iterator[Finding]:
    """Yield what checkov finds in the plan and in the objects.

    It passes over in silence what it cannot read, so what it has looked at is counted; of the objects only
    those with pods, for of some kinds it knows nothing.
    """
    wanted = {"terraform_plan": planned, "kubernetes": workloads}
    words = ["--directory", ".", "--framework", *wanted, "--skip-download", "--output", "json"]
    found = json.loads(_run([judges.checkov(), *words, "--compact", "--quiet"], folder))
    reports = {
        one["check_type"]: one for one in (found if isinstance(found, list) else [found]) if "results" in one
    }
    for framework, count in wanted.items():
        summary = reports[framework]["summary"] if framework in reports else {"resource_count": 0}
        if summary.get("parsing_errors") or summary["resource_count"] < count:
            raise StackError(f"checkov read less than the {count} resources of {framework}: {summary}")
    for report in reports.values():
        in_plan = report["check_type"] == "terraform_plan"
        for one in report["results"]["failed_checks"]:
            resource = one["resource"] if in_plan else _key(one["file_path"])
            yield Finding(resource, one["check_id"], one["check_name"], "checkov")


def _kube_score(folder: Path, files: list[str]) -> Iterator[Finding]:
    words = ["score", "--kubernetes-version", judges.schemas().version, "--output-format", "json"]
    # Where it knows none of the kinds, it prints null.
    for one in json.loads(_run([judges.kube_score(), *words, *files], folder)) or []:
        for check in one["checks"]:
            if check["grade"] < ALL_OK and not check["skipped"]:
                said = "; ".join(sorted({comment["summary"] for comment in check["comments"] or []}))
                key = _key(one["file_name"])
                yield Finding(key, check["check"]["id"], said or check["check"]["comment"], "kube-score")


def _kubeconform(folder: Path, files: list[str]) -> Iterator[Finding]:
    location = f"{judges.schemas().folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    words = ["-strict", "-output", "json", "-schema-location", location, *files]
    for one in json.loads(_run([judges.kubeconform(), *words], folder))["resources"]:
        check = "no-schema" if one["msg"].startswith("could not find schema") else "invalid"
        yield Finding(_key(one["filename"]), check, one["msg"], "kubeconform")


def _key(file: str) -> str:
    """Return the key of the object in a file, which each tool names in its own way."""
    return "/".join(Path(file).parts[-2:]).removesuffix(".yaml")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise StackError(f"EXPORT={folder}: {error.strerror}; name a folder that can be made") from error


def _run(command: list[str | Path], folder: Path) -> str:
    """Run a tool, whose exit status tells of findings too, and return the JSON that it printed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if not done.stdout.startswith(("{", "[", "null")):
        raise StackError(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main(
    stack: Annotated[str, typer.Argument(help="The stack: stacks/Pulumi.<stack>.yaml.")],
    keep: Annotated[
        Path | None, typer.Option("--export", help="A new folder for what the tools are shown.")
    ] = None,
) -> None:
    """Have checkov, kube-score and kubeconform judge what a stack would make."""
    try:
        platform, waivers = Stack(stack), read_waivers()
        platform.check_name()
        if keep:
            _make(keep)
        resources = simulated(stack, platform.settings_file)
        if keep:
            export.write(resources, keep)
        judged = judge(find(resources), stack, waivers)
    except (StackError, stacks.SettingsError, export.ExportError, RehearsalError) as error:
        sys.exit(f"error: {error}")
    for one in judged.open:
        typer.echo(f"{one.resource}: {one.check} ({one.tool}): {one.message}")
    for pair in judged.unused:
        typer.echo(f"{pair}: no finding matches this waiver any more: remove it")
    count = f"{len(judged.open)} finding{'s' * (len(judged.open) != 1)}"
    typer.echo(f"stack {stack}: {count}; waived: {len(judged.waived)}")
    if judged.open or judged.unused:
        sys.exit(f"error: fix what was found, or waive it with a reason in {WAIVERS.relative_to(ROOT)}")


if __name__ == "__main__":
    typer.run(main)
