"""A stack in other tools' languages: a Terraform plan document, and Kubernetes manifests.

The input is an engine's export of a stack that was brought up, if only in a simulated cloud: every value is
known then, also what one resource takes from another. AWS's and Cloudflare's Pulumi providers are bridged
from Terraform's, so every name has its original there; what differs is spelling, and that a block which
stands once is not a list.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

SIGNATURE = "4dabf18193072939515e22adb298388d"
"""The key by which engines mark an object as something else, here always a secret."""
MASK = "[secret]"
ELSEWHERE = {"docker", "ollamamax", "pulumi", "random", "tls"}
"""Packages whose resources exist in no cloud and in no cluster."""
CHART = "kubernetes:helm.sh/v3:Release"
AWS_TYPES = {
    "acm/certificate": "aws_acm_certificate",
    "acm/certificateValidation": "aws_acm_certificate_validation",
    "budgets/budget": "aws_budgets_budget",
    "cloudfront/cachePolicy": "aws_cloudfront_cache_policy",
    "cloudfront/distribution": "aws_cloudfront_distribution",
    "cloudfront/function": "aws_cloudfront_function",
    "cloudfront/originAccessControl": "aws_cloudfront_origin_access_control",
    "cloudfront/responseHeadersPolicy": "aws_cloudfront_response_headers_policy",
    "cloudwatch/logDelivery": "aws_cloudwatch_log_delivery",
    "cloudwatch/logDeliveryDestination": "aws_cloudwatch_log_delivery_destination",
    "cloudwatch/logDeliverySource": "aws_cloudwatch_log_delivery_source",
    "cloudwatch/logGroup": "aws_cloudwatch_log_group",
    "ec2/defaultSecurityGroup": "aws_default_security_group",
    "ec2/eip": "aws_eip",
    "ec2/flowLog": "aws_flow_log",
    "ec2/internetGateway": "aws_internet_gateway",
    "ec2/launchTemplate": "aws_launch_template",
    "ec2/natGateway": "aws_nat_gateway",
    "ec2/route": "aws_route",
    "ec2/routeTable": "aws_route_table",
    "ec2/routeTableAssociation": "aws_route_table_association",
    "ec2/securityGroup": "aws_security_group",
    "ec2/subnet": "aws_subnet",
    "ec2/vpc": "aws_vpc",
    "ec2/vpcEndpoint": "aws_vpc_endpoint",
    "ecr/lifecyclePolicy": "aws_ecr_lifecycle_policy",
    "ecr/pullThroughCacheRule": "aws_ecr_pull_through_cache_rule",
    "ecr/registryScanningConfiguration": "aws_ecr_registry_scanning_configuration",
    "ecr/repository": "aws_ecr_repository",
    "ecr/repositoryCreationTemplate": "aws_ecr_repository_creation_template",
    "eks/accessEntry": "aws_eks_access_entry",
    "eks/accessPolicyAssociation": "aws_eks_access_policy_association",
    "eks/addon": "aws_eks_addon",
    "eks/cluster": "aws_eks_cluster",
    "eks/nodeGroup": "aws_eks_node_group",
    "eks/podIdentityAssociation": "aws_eks_pod_identity_association",
    "elasticache/parameterGroup": "aws_elasticache_parameter_group",
    "elasticache/replicationGroup": "aws_elasticache_replication_group",
    "elasticache/subnetGroup": "aws_elasticache_subnet_group",
    "iam/openIdConnectProvider": "aws_iam_openid_connect_provider",
    "iam/role": "aws_iam_role",
    "iam/rolePolicy": "aws_iam_role_policy",
    "iam/rolePolicyAttachment": "aws_iam_role_policy_attachment",
    "kms/alias": "aws_kms_alias",
    "kms/key": "aws_kms_key",
    "lb/listener": "aws_lb_listener",
    "lb/loadBalancer": "aws_lb",
    "lb/targetGroup": "aws_lb_target_group",
    "rds/instance": "aws_db_instance",
    "rds/parameterGroup": "aws_db_parameter_group",
    "rds/subnetGroup": "aws_db_subnet_group",
    "route53/record": "aws_route53_record",
    "route53/zone": "aws_route53_zone",
    "s3/bucket": "aws_s3_bucket",
    "s3/bucketLifecycleConfiguration": "aws_s3_bucket_lifecycle_configuration",
    "s3/bucketOwnershipControls": "aws_s3_bucket_ownership_controls",
    "s3/bucketPolicy": "aws_s3_bucket_policy",
    "s3/bucketPublicAccessBlock": "aws_s3_bucket_public_access_block",
    "s3/bucketServerSideEncryptionConfiguration": "aws_s3_bucket_server_side_encryption_configuration",
    "s3/bucketVersioning": "aws_s3_bucket_versioning",
    "secretsmanager/secret": "aws_secretsmanager_secret",
    "secretsmanager/secretVersion": "aws_secretsmanager_secret_version",
    "vpc/securityGroupEgressRule": "aws_vpc_security_group_egress_rule",
    "vpc/securityGroupIngressRule": "aws_vpc_security_group_ingress_rule",
    "wafv2/webAcl": "aws_wafv2_web_acl",
    "wafv2/webAclLoggingConfiguration": "aws_wafv2_web_acl_logging_configuration",
}
"""The types that the components use, by Pulumi's name without ``aws:`` and class."""
MAPS = {"tags", "labels", "parameters"}
"""Properties of AWS's resources that are maps, not blocks."""
PLURALS = {"items"}
"""Repeated blocks that Terraform names in the plural too."""
SINGULARS = {"aliases": "alias"}
"""Where a plural does not say what its singular is."""


class ExportError(Exception):
    """A resource cannot be exported; the message names it and says what to add."""


def resources(exported: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the cloud's and the cluster's resources in an exported stack."""
    found = exported["deployment"]["resources"]
    return [one for one in found if one["type"].partition(":")[0] not in ELSEWHERE]


def write(found: list[dict[str, Any]], folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Write the plan as ``plan.json`` and each object as ``KIND/NAME.yaml``; return plan and objects.

    Raises:
        ExportError: if a resource cannot be told in Terraform's words, or by a name of its own.
    """
    plan, objects = terraform_plan(found), manifests(found)
    (folder / "plan.json").write_text(json.dumps(plan, indent=1))
    for key, body in objects.items():
        file = folder / f"{key}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(body))
    return plan, objects


def terraform_plan(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the resources of AWS and Cloudflare as the plan that ``terraform show -json`` would print.

    Raises:
        ExportError: if a resource's type has no known name in Terraform, or two would have one address.
    """
    clouds = [one for one in found if one["type"].startswith(("aws:", "cloudflare:"))]
    addresses = {one["urn"]: address(one) for one in clouds}
    _refuse_twins(list(addresses.values()))
    planned, changes, configuration = [], [], []
    for one in clouds:
        kind, _, name = addresses[one["urn"]].partition(".")
        head = {"address": addresses[one["urn"]], "mode": "managed", "type": kind, "name": name}
        uses = {
            _snake(key): [addresses[urn] for urn in urns if urn in addresses]
            for key, urns in one.get("propertyDependencies", {}).items()
        }
        own = {key: value for key, value in one["inputs"].items() if not key.startswith("__")}
        values = _block(_masked(own), kind)
        planned.append({**head, "values": values})
        change = {"actions": ["create"], "before": None, "after": values, "after_unknown": {}}
        changes.append({**head, "change": change})
        references = {key: {"references": used} for key, used in uses.items() if used}
        configuration.append({**head, "expressions": references})
    return {
        "format_version": "1.2",
        "terraform_version": "1.9.0",  # without it checkov takes the document for something else
        "planned_values": {"root_module": {"resources": planned}},
        "resource_changes": changes,
        "configuration": {"root_module": {"resources": configuration}},
    }


def address(resource: dict[str, Any]) -> str:
    """Return Terraform's address of a resource, ``aws_s3_bucket.models``.

    Raises:
        ExportError: if the resource's type has no known name in Terraform.
    """
    package, token, _ = resource["type"].split(":")
    if package == "aws" and token not in AWS_TYPES:
        raise ExportError(
            f"{resource['urn']}: no name in Terraform is known for {resource['type']}: "
            f"add {token} to AWS_TYPES in {__name__.replace('.', '/')}.py"
        )
    kind = AWS_TYPES[token] if package == "aws" else f"cloudflare_{_snake(token.partition('/')[2])}"
    return f"{kind}.{re.sub('[^A-Za-z0-9_-]', '_', _name(resource))}"


def manifests(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the Kubernetes objects by kind and Pulumi's name, ``Deployment/gateway``.

    An object's own name may hold a hash. Charts are left out, for their objects are in no plan.

    Raises:
        ExportError: if two objects would go by the same key.
    """
    objects = [one for one in found if one["type"].startswith("kubernetes:") and one["type"] != CHART]
    _refuse_twins([f"{one['inputs']['kind']}/{_name(one)}" for one in objects])
    return {f"{one['inputs']['kind']}/{_name(one)}": _object(one["inputs"]) for one in objects}


def charts(found: list[dict[str, Any]]) -> list[str]:
    """Return the charts as ``Release/name``."""
    return [f"Release/{_name(one)}" for one in found if one["type"] == CHART]


def _block(arguments: dict[str, Any], kind: str) -> dict[str, Any]:
    return dict(_argument(name, value, kind) for name, value in arguments.items())


def _argument(name: str, value: Any, kind: str) -> tuple[str, Any]:  # noqa: ANN401 - any JSON
    """Return an argument as Terraform would name and nest it."""
    name = _snake(name)
    blocks = kind.startswith("aws_")  # Cloudflare's provider has objects in their place
    match value:
        case dict() if name not in MAPS:
            return name, [_block(value, kind)] if blocks else _block(value, kind)
        case [dict(), *_]:
            return _singular(name) if blocks else name, [_block(inner, kind) for inner in value]
    return name, value


def _object(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return a Kubernetes object with its secrets masked, those of a Secret one by one."""
    body: dict[str, Any] = _masked(inputs)
    return body | {part: {"masked": ""} for part in ("data", "stringData") if body.get(part) == MASK}


def _masked(value: Any) -> Any:  # noqa: ANN401 - any JSON
    match value:
        case dict() if SIGNATURE in value:
            return MASK
        case dict():
            return {key: _masked(inner) for key, inner in value.items()}
        case list():
            return [_masked(inner) for inner in value]
    return value


def _refuse_twins(keys: list[str]) -> None:
    if twins := sorted({key for key in keys if keys.count(key) > 1}):
        raise ExportError(
            f"several resources would be called {', '.join(twins)}: give them names of their own"
        )


def _name(resource: dict[str, Any]) -> str:
    return str(resource["urn"].rpartition("::")[2])


def _snake(name: str) -> str:
    """Return ``name`` as Terraform spells it: ``ipv6CidrBlock`` is ``ipv6_cidr_block``."""
    return re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _singular(name: str) -> str:
    if name in PLURALS or not name.endswith("s") or name.endswith("ss"):
        return name
    return SINGULARS.get(name) or re.sub("ies$", "y", name).removesuffix("s")
