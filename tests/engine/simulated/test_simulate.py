"""A stack in the cloud, by the command line of an engine that has no cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engine.bench import Bench

STACK = """
    import json
    import pulumi_aws as aws
    import pulumi_docker as docker
    import pulumi_kubernetes as kubernetes
    import pulumi_random as random

    password = random.RandomPassword("password", length=20)
    key = aws.kms.Key("key", deletion_window_in_days=7)
    role = aws.iam.Role("role", max_session_duration=3600, assume_role_policy=json.dumps({"Statement": []}))
    rule = aws.iam.RolePolicy("rule", role=role.name, policy=key.arn.apply(lambda arn: json.dumps([arn])))
    parameter = aws.ssm.Parameter("parameter", name="/password", type="SecureString", value=password.result)
    repository = aws.ecr.Repository("repository")
    me = aws.ecr.get_authorization_token_output(registry_id=repository.registry_id)
    image = docker.Image(
        "image", build={"context": "."}, image_name=pulumi.Output.concat(repository.repository_url, ":v1"),
        registry={"server": repository.repository_url, "username": me.user_name, "password": me.password},
    )
    cluster = kubernetes.Provider("cluster", kubeconfig=role.arn)
    names = kubernetes.core.v1.Namespace("names", opts=Opts(provider=cluster))
    pulumi.export("digest", image.repo_digest)
    pulumi.export("role", role.arn)
    pulumi.export("password", parameter.value)
"""


@pytest.fixture
def stack(bench: Bench) -> Bench:
    """A bench with a stack in a cloud."""
    bench.program(STACK)
    (bench.folder / "program/Dockerfile").write_text("FROM scratch\n")
    bench.env.pop("PULUMI_DEBUG_PROVIDERS")
    configure(bench, {"aws:region": "eu-central-1"})
    return bench


def configure(bench: Bench, config: dict[str, Any]) -> None:
    """Write the stack's config."""
    (bench.folder / "state/Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": config}))


def cloud(bench: Bench) -> list[Path]:
    """What is in the simulated cloud."""
    return sorted((bench.folder / "state/simulated/.pulumi/cloud/demo/dev").glob("*.json"))


def test_nothing_is_done_for_real(stack: Bench) -> None:
    for command in ("up", "refresh", "destroy"):
        if command == "refresh":  # a state that the CLI has made
            stack.run("up", "--yes", "--simulate")
            made = stack.folder / "state/simulated/.pulumi/stacks/demo/dev.json"
            stack.state_file.write_bytes(made.read_bytes())
        result = stack.run(command, "--yes", status=1)
        assert (
            "error: the stack uses aws, which the embedded engine only simulates, so nothing was begun: "
            "install the Pulumi CLI (https://www.pulumi.com/docs/install/) to do it for real, or pass "
            "--simulate to rehearse it\n"
        ) in result.stdout
        if command == "up":
            assert stack.latest.get("resources", []) == []
    assert len(stack.resources) == 8


def test_a_preview_says_that_it_is_simulated(stack: Bench) -> None:
    result = stack.run("preview")
    assert "Resources: (simulated)\n    + 10 to create (simulated)\n" in result.stdout
    assert not stack.state_file.exists()
    steps = {one["newState"]["urn"]: one["newState"] for one in stack.preview()["steps"]}
    role = next(one for urn, one in steps.items() if urn.endswith("::role"))
    assert role["inputs"]["maxSessionDuration"] == 3600


def test_a_simulated_stack_lives_and_goes(stack: Bench) -> None:
    result = stack.run("up", "--yes", "--simulate")
    assert result.stdout.startswith("Updating (dev, simulated):\n")
    assert "Resources: (simulated)\n    + 10 created (simulated)\n" in result.stdout
    assert not stack.state_file.exists(), "the real state is another one"
    outputs = json.loads(stack.run("outputs", "--simulate", "--json").stdout)
    assert outputs["digest"].startswith("123456789012.dkr.ecr.eu-central-1.amazonaws.com/repository-")
    assert outputs["role"].startswith("arn:aws:iam::123456789012:role/role-")
    shown = json.loads(stack.run("outputs", "--simulate", "--json", "--show-secrets").stdout)["password"]
    for file in (*cloud(stack), *(stack.folder / "state").rglob("*.json")):
        assert shown not in file.read_text(), file

    stack.run("preview", "--simulate", "--expect-no-changes")
    stack.run("refresh", "--yes", "--simulate", "--expect-no-changes")
    role = next(file for file in cloud(stack) if file.name.startswith("iam-role-Role"))
    role.write_text(role.read_text().replace('"maxSessionDuration": 3600', '"maxSessionDuration": 7200'))
    assert " ~  aws:iam:Role role updated" in stack.run("refresh", "--yes", "--simulate").stdout
    mended = stack.run("up", "--yes", "--simulate").stdout
    assert " ~  aws:iam:Role role updated" in mended
    assert "[diff: maxSessionDuration]" in mended
    assert '"maxSessionDuration": 3600' in role.read_text()

    exported = json.loads(stack.run("export", "--simulate").stdout)
    assert len(exported["deployment"]["resources"]) > 10
    result = stack.run("destroy", "--yes", "--simulate")
    assert "Resources: (simulated)\n    - 10 deleted (simulated)\n" in result.stdout
    assert cloud(stack) == []


def test_a_mistake_ends_a_plan_and_shows_no_secret(stack: Bench) -> None:
    stack.program("""
        import pulumi_aws as aws
        secret = pulumi.Output.secret("hunter2hunter2")
        aws.ecr.Repository("repository", name=secret.apply(lambda text: text.upper()))
        aws.kms.Key("key", deletion_window_in_days=3)
    """)
    result = stack.run("preview", status=1)
    said = result.stdout + result.stderr
    assert 'aws:kms/key:Key "key": deletionWindowInDays 3 is less than 7' in said
    assert "HUNTER2HUNTER2" not in said


def test_what_exists_elsewhere_is_in_the_config(stack: Bench) -> None:
    arn = "arn:aws:iam::123456789012:policy/base"
    stack.program(f"""
        import pulumi_aws as aws
        aws.iam.RolePolicyAttachment("attached", role="admins", policy_arn="{arn}")
    """)
    refused = stack.run("preview", status=1)
    assert 'role "admins": the simulated cloud has no Role of that name' in refused.stdout + refused.stderr
    configure(stack, {"aws:region": "eu-central-1", "simulated:existing": ["admins", arn]})
    stack.run("preview")
    configure(stack, {"aws:region": "eu-central-1", "simulated:existing": "admins"})
    refused = stack.run("preview", status=1)
    assert "simulated:existing must be a list of ids, ARNs and names" in refused.stdout + refused.stderr


def test_a_kubeconfig_goes_with_a_simulation(stack: Bench) -> None:
    refused = stack.run("preview", "--kubeconfig", "some", status=1)
    assert (
        refused.stderr == "error: --kubeconfig goes with --simulate; a real cluster's is the provider's own\n"
    )


def test_a_stack_without_a_cloud_loads_none(bench: Bench) -> None:
    bench.program("""
        import sys
        Thing("a")
        names = ("botocore", "pulumi_aws", "engine.simulated.provider")
        pulumi.export("loaded", [name for name in names if name in sys.modules])
    """)
    assert "loaded: []" in bench.up().stdout
    assert "(simulated)" not in bench.run("preview").stdout
