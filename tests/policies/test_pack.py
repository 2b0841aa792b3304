"""The pack as a whole: what it is made of, and through the engine."""

import functools
import importlib.util
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.provider import serve
from policies.pack import RULES
from policies.tagging import TAGGED
from tests.engine.bench import Bench
from tests.engine.cloud import Cloud
from tests.policies.test_rules import EXAMPLES

ROOT = Path(__file__).parents[2]
PACK = str(ROOT / "policies")


def run(*words: str) -> str:
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def test_it_starts_without_the_heavy_packages() -> None:
    """Importing a provider's SDK takes seconds, which every preview would wait for."""
    loaded = run("-c", "import policies.pack, sys; print(*sys.modules)").split()
    assert "pulumi_policy" in loaded
    for package in ("pulumi_aws", "pulumi_kubernetes", "pulumi_cloudflare", "components", "stacks", "engine"):
        assert package not in loaded


def source(package: str) -> Path:
    """Return the file of a package; importing it would take seconds."""
    found = importlib.util.find_spec(package)
    assert found
    return Path(str(found.origin))


def tokens(package: str) -> dict[str, tuple[str, str]]:
    """Return the resource types that an SDK has, each with the module and class of it."""
    modules = re.findall(r'"fqn": "([\w.]+)",\s+"classes": \{(.*?)\}', source(package).read_text(), re.DOTALL)
    return {
        token: (module, name)
        for module, classes in modules
        for token, name in re.findall(r'"(\S+)": "(\w+)"', classes)
    }


KNOWN = tokens("pulumi_aws") | tokens("pulumi_cloudflare") | tokens("pulumi_kubernetes")
OUTPUTS = {"tagsAll"}
"""What an example has that is no input: a rule takes it from either."""


def test_rules_name_types_that_exist() -> None:
    crds = {"kubernetes:karpenter.sh/v1:NodePool", "kubernetes:keda.sh/v1alpha1:ScaledObject"}
    on = {type_ for rule in RULES for type_ in rule.on or ()} | {
        one.type for e in EXAMPLES for one in e.resources
    }
    named = {one for one in on if one.startswith(("aws:", "cloudflare:", "kubernetes:"))}
    assert len(named) > 60
    assert sorted(named - KNOWN.keys() - crds) == []


@functools.cache
def inputs(token: str) -> set[str]:
    """Return the names that a resource's inputs have on the wire."""
    module, name = KNOWN[token]
    package, *inner = module.split(".")
    snake = re.sub(r"(?<=.)([A-Z])", r"_\1", name).lower()
    file = source(package).parent.joinpath(*inner, f"{snake}.py")
    found = re.search(r"def _internal_init\(__self__,(.*?)__props__", file.read_text(), re.DOTALL)
    assert found, file
    names = re.findall(r"^ +(\w+): ", found[1], re.MULTILINE)
    return {re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), one) for one in names}


def test_examples_use_the_inputs_that_the_sdk_has() -> None:
    """A rule that looks for a name that is no input would pass everything."""
    for example in EXAMPLES:
        for one in example.resources:
            if one.type.startswith(("aws:", "cloudflare:")):
                assert one.props.keys() - inputs(one.type) - OUTPUTS == set(), (example.rule, one.type)


def test_what_needs_tags_takes_them() -> None:
    assert [token for token in TAGGED if "tags" not in inputs(token)] == []


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "cloud").mkdir()
    cloud = Cloud(tmp_path / "cloud")
    address, stop = serve(cloud)
    yield Bench(tmp_path, cloud, address.rpartition(":")[2])
    stop()


HEAD = """
class Any(pulumi.ComponentResource):
    def __init__(self, type_, name, opts=None, **props):
        super().__init__(type_, name, props, opts)

"""


def violations(
    bench: Bench, program: str, config: dict[str, Any] | None = None, status: int = 1
) -> dict[str, str]:
    """Return what a preview of the program finds: by rule and resource, the message."""
    bench.program(HEAD + inspect.cleandoc(program))
    words = []
    if config is not None:
        (bench.folder / "config.json").write_text(json.dumps(config))
        words = ["--policy-pack-config", "config.json"]
    out = bench.run("preview", "--json", "--policy-pack", PACK, *words, status=status).stdout
    found = dict[str, str]()
    for one in json.loads(out).get("diagnostics", []):
        title, _, message = one["message"].partition("\n")
        match = re.search(r"\[(\w+)\]  ([\w-]+)  \(.*: (\S+)\)", title)
        assert match, one
        title = f"{match[1]} {match[2]} {match[3]}"
        found[title] = found.get(title, "") + message
    return found


def test_secrets_are_told_from_plain_text(bench: Bench) -> None:
    found = violations(
        bench,
        """
        Thing("good", password=pulumi.Output.secret("hunter22"), envs=pulumi.Output.secret(["A_TOKEN=x"]))
        Thing("bad", password="hunter2", envs=["A_TOKEN=x"])
        """,
    )
    assert list(found) == ["mandatory plain-text-secret bad"]
    message = found["mandatory plain-text-secret bad"]
    assert "password is called password, and no secret" in message
    assert "envs[0] is the value of A_TOKEN, and no secret" in message


def test_the_stack_s_rules_judge_what_the_program_asked_for(bench: Bench) -> None:
    found = violations(
        bench,
        """
        meta = {"name": "web", "namespace": "llm"}
        spec = {"replicas": 3, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {}}}
        web = Any("kubernetes:apps/v1:Deployment", "web", metadata=meta, spec=spec)
        web.register_outputs({"spec": {"replicas": 5}})
        target = {"minReplicaCount": 1, "maxReplicaCount": 9, "scaleTargetRef": {"name": "web"}}
        Any("kubernetes:keda.sh/v1alpha1:ScaledObject", "scaler", metadata=meta, spec=target)
        """,
    )
    assert "spec.replicas is 3, and scaler moves it, too" in found["mandatory one-replica-writer web"]
    assert "no PodDisruptionBudget selects its pods" in found["mandatory disruption-budget web"]


def test_protection_is_seen_and_the_explicit_word_is_heard(bench: Bench) -> None:
    program = """
    tags = {"project": "demo", "stack": "dev"}
    Any("aws:kms/key:Key", "kept", Opts(protect=True), enableKeyRotation=True, tags=tags)
    Any("aws:kms/key:Key", "loose", enableKeyRotation=True)
    """
    config: dict[str, Any] = {"cost-alarm": "disabled", "required-tags": {"tags": ["project"]}}
    assert set(violations(bench, program, config)) == {
        "mandatory blast-radius loose",
        "mandatory required-tags loose",
    }
    config |= {"blast-radius": {"allowReplace": ["aws:kms/key:Key"]}, "required-tags": "advisory"}
    found = violations(bench, program, config, status=0)
    assert set(found) == {"advisory required-tags kept", "advisory required-tags loose"}


def test_the_platform_s_numbers_stop_an_update(bench: Bench) -> None:
    program = """
    numbers = {"databaseConnections": {"wanted": 300, "limit": 190},
               "monthlyCostUsd": {"expected": 100, "max": 200, "budget": 300}}
    platform = Any("ollamamax:index:Platform", "platform", budget=numbers)
    Thing("first", Opts(parent=platform))
    """
    assert set(violations(bench, program)) == {"mandatory database-connections platform"}
    out = bench.up("--policy-pack", PACK, status=1).stdout
    assert "forbidden by mandatory policy database-connections" in out
    assert "the connection pools open up to 300 connections, the database takes 190" in out
    assert bench.cloud.things() == {}
