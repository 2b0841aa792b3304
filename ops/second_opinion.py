"""A second opinion that nobody here wrote: other people's tools judge what a stack would make.

checkov reads the plan in Terraform's words, checkov and kube-score the Kubernetes objects, and kubeconform
compares these with the schemas of a real API server. What they find is fixed, or waived with a reason.
``python -m ops.second_opinion STACK``.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

import stacks
from ops import export, schemas
from ops.stack import ROOT, Stack, StackError
from rehearsal import controlplane

KUBE_SCORE = "github.com/zegl/kube-score/cmd/kube-score@v1.20.0"
KUBECONFORM = "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0"
CHECKOV = ROOT / "ops" / "checkov"
BOOTSTRAP = ROOT / "bootstrap"
CUSTOM_KINDS = {
    "github.com/cert-manager/cert-manager@v1.19.1": "deploy/crds",
    "github.com/kedacore/keda/v2@v2.21.0": "config/crd/bases",
    "sigs.k8s.io/karpenter@v1.9.0": "pkg/apis/crds",
    "sigs.k8s.io/secrets-store-csi-driver@v1.5.3": "config/crd/bases",
}
"""Go modules that define kinds, and the folder in each that holds the definitions."""
WAIVERS = ROOT / "policies" / "waivers.yaml"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ollamamax"
VERSION = "version"
"""Name of the file beside the schemas that says which Kubernetes they are of: ``v1.34``."""
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
    return [one for program in programs for one in _up(program, stack, settings_file)]


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
    plan, objects = export.terraform_plan(resources), export.manifests(resources)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plan.json").write_text(json.dumps(plan, indent=1))
        files = [f"{key}.yaml" for key in objects]
        for file, body in zip(files, objects.values(), strict=True):
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(yaml.safe_dump(body))
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
    found = json.loads(_run([_checkov_program(), *words, "--compact", "--quiet"], folder))
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
    version = (_schemas() / VERSION).read_text()
    words = ["score", "--kubernetes-version", version, "--output-format", "json"]
    # Where it knows none of the kinds, it prints null.
    for one in json.loads(_run([_go_program(KUBE_SCORE), *words, *files], folder)) or []:
        for check in one["checks"]:
            if check["grade"] < ALL_OK and not check["skipped"]:
                said = "; ".join(sorted({comment["summary"] for comment in check["comments"] or []}))
                key = _key(one["file_name"])
                yield Finding(key, check["check"]["id"], said or check["check"]["comment"], "kube-score")


def _kubeconform(folder: Path, files: list[str]) -> Iterator[Finding]:
    location = f"{_schemas()}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    words = ["-strict", "-output", "json", "-schema-location", location, *files]
    for one in json.loads(_run([_go_program(KUBECONFORM), *words], folder))["resources"]:
        check = "no-schema" if one["msg"].startswith("could not find schema") else "invalid"
        yield Finding(_key(one["filename"]), check, one["msg"], "kubeconform")


def _key(file: str) -> str:
    """Return the key of the object in a file, which each tool names in its own way."""
    return "/".join(Path(file).parts[-2:]).removesuffix(".yaml")


def _checkov_program() -> Path:
    """Return checkov, installed once for each state of its lock file."""
    lock = hashlib.sha256((CHECKOV / "uv.lock").read_bytes()).hexdigest()[:12]
    environment = CACHE / f"checkov-{lock}"
    if not (environment / "bin" / "checkov").exists():
        path = f"{os.environ['PATH']}:{CACHE / 'uv' / 'bin'}"
        env = {**os.environ, "PATH": path, "UV_PROJECT_ENVIRONMENT": str(environment)}
        command = ["uv", "sync", "--frozen", "--quiet", "--compile-bytecode", "--project", str(CHECKOV)]
        if subprocess.run(command, env=env, check=False).returncode:  # noqa: S603 - our own words
            raise StackError("checkov could not be installed; uv's message above says why")
    return environment / "bin" / "checkov"


def _go_program(module: str) -> Path:
    """Return a program, built once from its module for each version."""
    path, _, version = module.partition("@")
    program = CACHE / f"{Path(path).name}-{version}" / Path(path).name
    if not program.exists():
        _go(["install", module], program.parent)
    return program


def _schemas() -> Path:
    """Return the folder with the schemas of all kinds, made once for each set of versions.

    Custom kinds are shown to the API server too, so that all schemas are of one make.
    """
    plane = controlplane.build()
    about = json.dumps([plane.name, CUSTOM_KINDS, Path(schemas.__file__).read_text()])
    folder = CACHE / f"schemas-{hashlib.sha256(about.encode()).hexdigest()[:12]}"
    if not folder.exists():
        definitions = [one for module, part in CUSTOM_KINDS.items() for one in _definitions(module, part)]
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as name, controlplane.running(Path(name)) as server:
            made = Path(name) / "schemas"
            made.mkdir()
            schemas.write(made, schemas.published(server, definitions))
            about_server = server.request("get", "/version")
            (made / VERSION).write_text("v{major}.{minor}".format(**about_server))
            made.rename(folder)
    return folder


def _definitions(module: str, part: str) -> Iterator[dict[str, Any]]:
    """Yield the custom kinds that a Go module defines."""
    done = _go(["mod", "download", "-json", module])
    for file in sorted(Path(json.loads(done)["Dir"], part).glob("*.yaml")):
        found = yaml.safe_load(file.read_text())
        if found and found["kind"] == "CustomResourceDefinition":
            yield found


def _go(words: list[str], folder: Path | None = None) -> str:
    """Run Go, outside any module, with its programs put into ``folder``, and return what it printed."""
    env = {**os.environ, "GOFLAGS": "", **({"GOBIN": str(folder)} if folder else {})}
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            ["go", *words],  # noqa: S607
            cwd=CACHE,
            env=env,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise StackError(
            "Go is missing: install Go 1.24 or newer, then run the same command again"
        ) from error
    except subprocess.CalledProcessError as error:
        raise StackError(f"go {' '.join(words)} failed: {error.stdout}the message above says why") from error
    return done.stdout


def _run(command: list[str | Path], folder: Path) -> str:
    """Run a tool, whose exit status tells of findings too, and return the JSON that it printed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if not done.stdout.startswith(("{", "[", "null")):
        raise StackError(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main(stack: Annotated[str, typer.Argument(help="The stack: stacks/Pulumi.<stack>.yaml.")]) -> None:
    """Have checkov, kube-score and kubeconform judge what a stack would make."""
    try:
        platform, waivers = Stack(stack), read_waivers()
        platform.check_name()
        judged = judge(find(simulated(stack, platform.settings_file)), stack, waivers)
    except (StackError, stacks.SettingsError, export.ExportError, controlplane.ControlPlaneError) as error:
        sys.exit(f"error: {error}")
    for one in judged.open:
        typer.echo(f"{one.resource}: {one.check} ({one.tool}): {one.message}")
    for pair in judged.unused:
        typer.echo(f"{pair}: this waiver waives nothing")
    typer.echo(f"stack {stack}: {len(judged.open)} findings; {len(judged.waived)} more are waived")
    if judged.open or judged.unused:
        sys.exit(f"error: fix what was found, or waive it with a reason in {WAIVERS.relative_to(ROOT)}")


if __name__ == "__main__":
    typer.run(main)
