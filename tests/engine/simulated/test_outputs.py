"""What the simulated AWS makes: every type of the catalogue, with outputs in their real form."""

from __future__ import annotations

import base64
import re
import typing
from collections.abc import Mapping
from typing import Any

from cryptography import x509

from engine.simulated import sdk
from engine.values import UNKNOWN
from tests.engine.providers.harness import Plugin
from tests.engine.simulated.catalogue import CATALOGUE, Made
from tests.engine.simulated.conftest import Aws

HEX, ACCOUNT = "[0-9a-f]", "123456789012"
UUID = f"{HEX}{{8}}-{HEX}{{4}}-4{HEX}{{3}}-a{HEX}{{3}}-{HEX}{{12}}"
EC2 = f"0{HEX}{{16}}"
FORMS = {
    "key.id": UUID,
    "key.arn": f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/{UUID}",
    "alias.name": "alias/alias-[0-9a-f]{7}",
    "vpc.id": f"vpc-{EC2}",
    "vpc.arn": f"arn:aws:ec2:eu-central-1:{ACCOUNT}:vpc/vpc-{EC2}",
    "vpc.defaultSecurityGroupId": f"sg-{EC2}",
    "a.id": f"subnet-{EC2}",
    "internet.id": f"igw-{EC2}",
    "address.id": f"eipalloc-{EC2}",
    "address.publicIp": r"198\.18\.\d+\.\d+",
    "nat.id": f"nat-{EC2}",
    "nat.privateIp": r"10\.0\.\d+\.\d+",
    "group.id": f"sg-{EC2}",
    "group.name": "group-[0-9a-f]{7}",
    "ingress.id": f"sgr-{EC2}",
    "endpoint.id": f"vpce-{EC2}",
    "logs.arn": f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:/aws/vpc/flows",
    "role.id": "role-[0-9a-f]{7}",
    "role.arn": f"arn:aws:iam::{ACCOUNT}:role/role-[0-9a-f]{{7}}",
    "role.uniqueId": "AROA[A-Z0-9]{17}",
    "policy.id": f"arn:aws:iam::{ACCOUNT}:policy/policy-[0-9a-f]{{7}}",
    "cluster.arn": f"arn:aws:eks:eu-central-1:{ACCOUNT}:cluster/cluster-[0-9a-f]{{7}}",
    "cluster.endpoint": r"https://[0-9A-F]{32}\.gr7\.eu-central-1\.eks\.amazonaws\.com",
    "identity.id": (
        rf"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc\.eks\.eu-central-1\.amazonaws\.com/id/[0-9A-F]{{32}}"
    ),
    "images.repositoryUrl": rf"{ACCOUNT}\.dkr\.ecr\.eu-central-1\.amazonaws\.com/images-[0-9a-f]{{7}}",
    "cache.primaryEndpointAddress": r"master\.cache-[0-9a-f]{7}\.[0-9a-f]{6}\.euc1\.cache\.amazonaws\.com",
    "cache.readerEndpointAddress": r"replica\.cache-[0-9a-f]{7}\.[0-9a-f]{6}\.euc1\.cache\.amazonaws\.com",
    "secret.id": (
        f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:secret-[0-9a-f]{{7}}-[a-z0-9]{{6}}"
    ),
    "db.id": "db-[A-Z0-9]{26}",
    "db.endpoint": r"ollamamax\.[a-z0-9]{12}\.eu-central-1\.rds\.amazonaws\.com:5432",
    "bucket.arn": "arn:aws:s3:::bucket-[0-9a-f]{7}",
    "bucket.bucketRegionalDomainName": r"bucket-[0-9a-f]{7}\.s3\.eu-central-1\.amazonaws\.com",
    "balancer.dnsName": r"balancer-[0-9a-f]{7}-[0-9a-f]{16}\.elb\.eu-central-1\.amazonaws\.com",
    "balancer.arn": (
        f"arn:aws:elasticloadbalancing:eu-central-1:{ACCOUNT}:loadbalancer/net/balancer-[0-9a-f]{{7}}"
        "/[0-9a-f]{16}"
    ),
    "zone.id": "Z[A-Z0-9]{20}",
    "api.fqdn": r"api\.llm\.example\.org",
    "cdn.id": "E[A-Z0-9]{13}",
    "cdn.domainName": r"d[a-z0-9]{13}\.cloudfront\.net",
    "firewall.arn": f"arn:aws:wafv2:us-east-1:{ACCOUNT}:global/webacl/firewall-[0-9a-f]{{7}}/{UUID}",
    "queue.id": rf"https://sqs\.eu-central-1\.amazonaws\.com/{ACCOUNT}/queue-[0-9a-f]{{7}}",
}  # fmt: skip


def test_ids_arns_and_endpoints_have_their_real_form(made: Made) -> None:
    made.make()
    for path, form in FORMS.items():
        name, key = path.split(".")
        value = made.ids[name] if key == "id" else made.outputs[name][key]
        assert re.fullmatch(form, value), f"{path} {value} does not match {form}"


def test_every_output_that_the_sdk_promises_has_a_value_of_its_type(made: Made) -> None:
    made.make()
    for name, (token, _) in CATALOGUE.items():
        for key, about in sdk.outputs(sdk.resource(token)).items():
            value = made.outputs[name].get(key)
            if about.required:
                assert value is not None, f"{token}: {key}"
            if value is not None:
                assert fits(value, about.kind), f"{token}: {key} is {value!r}, not {about.kind}"


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type of the SDK."""
    origin = typing.get_origin(kind)
    if sdk.is_object(kind) or origin is Mapping:
        return isinstance(value, dict)
    if isinstance(kind, type) and kind in (bool, int, float, str):
        expected = (int, float) if kind is float else kind
        return isinstance(value, expected) and isinstance(value, bool) == (kind is bool)
    return kind is Any or isinstance(value, list)


def test_what_is_made_fits_together(made: Made) -> None:
    outputs = made.make().outputs
    assert outputs["cluster"]["vpcConfig"]["vpcId"] == made.ids["vpc"] == outputs["balancer"]["vpcId"]
    assert outputs["cluster"]["vpcConfig"]["subnetIds"] == [made.ids["a"], made.ids["b"]]
    assert made.ids["closed"] == outputs["vpc"]["defaultSecurityGroupId"]
    assert outputs["nat"]["publicIp"] == outputs["address"]["publicIp"]
    assert outputs["cache"]["memberClusters"] == [f"{made.ids['cache']}-00{n}" for n in (1, 2, 3)]
    domains = [one["domainName"] for one in outputs["certificate"]["domainValidationOptions"]]
    assert domains == ["llm.example.org", "*.llm.example.org"]
    secret = outputs["db"]["masterUserSecrets"][0]["secretArn"]
    assert secret.startswith(f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:rds!db-")


def test_the_authority_of_a_cluster_is_a_certificate(made: Made) -> None:
    data = made.make("cluster").outputs["cluster"]["certificateAuthority"]["data"]
    assert x509.load_pem_x509_certificate(base64.b64decode(data)).subject.rfc4514_string() == "CN=kubernetes"


def test_everything_follows_from_the_program(aws: Aws, tmp_path: Any) -> None:
    first = Made(aws()).make("db", "cluster", "cdn")
    for file in (tmp_path / "cloud").iterdir():
        file.unlink()
    again = Made(aws()).make("db", "cluster", "cdn")
    assert (again.ids, again.outputs) == (first.ids, first.outputs)


def test_a_name_is_made_once_and_kept(plugin: Plugin) -> None:
    role, given = "aws:iam/role:Role", {"assumeRolePolicy": "{}"}
    first = plugin.check(role, given)
    assert re.fullmatch("x-[0-9a-f]{7}", first["name"])
    plugin.create(role, first)
    assert plugin.check(role, {**given, "maxSessionDuration": 7200}, first)["name"] == first["name"]
    assert plugin.check(role, given)["name"] != first["name"], "for a replacement"
    assert "name" not in plugin.check(role, {**given, "namePrefix": "own-"})
    assert plugin.check("aws:s3/bucket:Bucket", {}, name="Models")["bucket"].startswith("models-")
    assert "name" not in plugin.check("aws:ec2/vpc:Vpc", {})


def test_default_tags_are_those_of_every_resource_that_has_tags(aws: Aws) -> None:
    plugin = aws(defaultTags='{"tags": {"stack": "prod", "team": "core"}}')
    inputs = plugin.check("aws:kms/key:Key", {"tags": {"team": "gpu"}})
    assert inputs["tags"] == {"stack": "prod", "team": "gpu"}
    assert plugin.create("aws:kms/key:Key", inputs)[1]["tagsAll"] == {"stack": "prod", "team": "gpu"}
    versioning = {"bucket": UNKNOWN, "versioningConfiguration": {"status": "Enabled"}}
    assert plugin.check("aws:s3/bucketVersioning:BucketVersioning", versioning) == versioning
