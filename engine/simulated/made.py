"""Values of the simulated cloud that need more than a format string."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import re
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from engine.simulated.facts import Facts

BORN = "2026-01-01T00:00:00Z"
"""When everything was made."""
_SUBNET = "aws:ec2/subnet:Subnet"


def certificate(facts: Facts) -> dict[str, str]:
    """Return a cluster's own authority, as its API server would show it."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(facts.seed.encode()).digest())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    born = datetime.datetime.fromisoformat(BORN)
    signed = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(born).not_valid_after(born + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, None)
    )  # fmt: skip
    return {"data": base64.b64encode(signed.public_bytes(Encoding.PEM)).decode()}


def vpc(facts: Facts) -> str:
    """Return the VPC of the subnets that are named."""
    config, mappings = facts.get("vpcConfig") or {}, facts.get("subnetMappings") or []
    named = {*(facts.get("subnetIds") or []), *(facts.get("subnets") or []), *config.get("subnetIds", [])}
    named |= {facts.get("subnetId"), *(one.get("subnetId") for one in mappings)}
    subnets = facts.cloud.of(_SUBNET)
    return str(
        next((one.outputs["vpcId"] for one in subnets if one.id in named), facts.text("vpc-0{hex:16}"))
    )


def default_group(facts: Facts) -> str:
    """Return the security group that a VPC came with."""
    found = facts.cloud.find("aws:ec2/vpc:Vpc", facts["vpcId"])
    return str(found.outputs["defaultSecurityGroupId"]) if found else facts.text("sg-0{hex:16}")


def public_ip(facts: Facts) -> str:
    """Return an address of the block for benchmarks, which is nobody's."""
    return f"198.18.{_number(facts, '8a', 256)}.{_number(facts, '8b', 254) + 1}"


def public_name(facts: Facts) -> str:
    """Return the host name of an address."""
    return f"ec2-{str(facts['publicIp']).replace('.', '-')}.{facts['region']}.compute.amazonaws.com"


def nat_ip(facts: Facts) -> str:
    """Return the public address of a NAT gateway."""
    address = facts.cloud.find("aws:ec2/eip:Eip", facts["allocationId"])
    return str(address.outputs["publicIp"]) if address else ""


def private_ip(facts: Facts) -> str:
    """Return an address of a subnet; AWS keeps the first four and the last for itself."""
    subnet = facts.cloud.find(_SUBNET, facts["subnetId"])
    block = ipaddress.ip_network(subnet.outputs["cidrBlock"] if subnet else "10.0.0.0/24")
    return str(block[4 + _number(facts, "8", block.num_addresses - 5)])


def endpoint_names(facts: Facts) -> list[dict[str, str]]:
    """Return the names of an endpoint that has addresses."""
    service = ".".join(reversed(str(facts["serviceName"]).split(".")[3:]))
    name = facts.text(f"{{id}}-{{lower:8}}.{service}.{{region}}.vpce.{{suffix}}")
    return [{"dnsName": name, "hostedZoneId": facts.text("Z{upper:13}")}] if facts.get("subnetIds") else []


def interfaces(facts: Facts) -> list[str]:
    """Return a network interface for each subnet."""
    return [facts.text(f"eni-0{{hex:16{subnet}}}") for subnet in facts.get("subnetIds") or []]


def validation(facts: Facts) -> list[dict[str, str]]:
    """Return the records that prove a certificate's domains; a wildcard shares that of its domain."""
    domains = [facts["domainName"], *(facts.get("subjectAlternativeNames") or [])]
    found = []
    for domain in dict.fromkeys(domains):
        bare = str(domain).removeprefix("*.")
        name, value = f"_{{hex:32{bare}}}.{bare}.", f"_{{hex:32to{bare}}}.{{lower:10}}.acm-validations.aws."
        about = {"domainName": domain, "resourceRecordName": name, "resourceRecordValue": value}
        found.append({**facts.fill(about), "resourceRecordType": "CNAME"})
    return found


def fqdn(facts: Facts) -> str:
    """Return the full name of a record."""
    zone = facts.cloud.find("aws:route53/zone:Zone", facts["zoneId"])
    end, name = str(zone.outputs["name"]).rstrip(".") if zone else "", str(facts["name"]).rstrip(".")
    return name if name == end or name.endswith(f".{end}") else f"{name}.{end}".strip(".")


def name_servers(facts: Facts) -> list[str]:
    """Return the four name servers of a zone."""
    return [
        facts.text(f"ns-{{digits:3{end}}}.awsdns-{{digits:2{end}}}.{end}")
        for end in ("com", "net", "org", "co.uk")
    ]


def name_server(facts: Facts) -> str:
    """Return the first name server of a zone."""
    return name_servers(facts)[0]


def cache_endpoint(role: str) -> Callable[[Facts], str | None]:
    """Return what makes the address of the master, the replicas or (`clustercfg`) the shards of a cache."""

    def address(facts: Facts) -> str | None:
        if (role == "clustercfg") != is_sharded(facts):
            return None
        area, where, number = str(facts["region"]).rsplit("-", 2)
        short = re.sub("(north|south|east|west|central)", lambda found: found[0][0], where)
        end = f"{area.replace('-', '')}{short}{number}.cache.{{suffix}}"
        if facts.get("transitEncryptionEnabled"):
            return facts.text(f"{role}.{{id}}.{{hex:6}}.{end}")
        kinds = {"master": "ng.0001", "replica": "ng.0001.ro", "clustercfg": "clustercfg"}
        return facts.text(f"{{id}}.{{hex:6}}.{kinds[role]}.{end}")

    return address


def is_sharded(facts: Facts) -> bool:
    """Tell whether a cache has its keys in shards."""
    return (facts.get("numNodeGroups") or 1) > 1 or facts.get("clusterMode") == "enabled"


def cache_members(facts: Facts) -> list[str]:
    """Return the nodes of a cache."""
    shards, replicas = facts.get("numNodeGroups") or 1, facts.get("replicasPerNodeGroup") or 0
    count = facts.get("numCacheClusters") or shards * (replicas + 1)
    return [f"{facts['id']}-{number + 1:03}" for number in range(count)]


def database_name(facts: Facts) -> str:
    """Return the identifier of a database that was given none."""
    return facts.text((facts.get("identifierPrefix") or "terraform-") + "20260101{digits:18}")


def database_port(facts: Facts) -> int:
    """Return the port on which an engine listens."""
    ports = {"aurora-postgresql": 5432, "db2": 50_000, "oracle": 1521, "postgres": 5432, "sqlserver": 1433}
    known = (port for start, port in ports.items() if str(facts["engine"]).startswith(start))
    return int(facts.get("port") or next(known, 3306))


def database_endpoint(facts: Facts) -> str:
    """Return where a database listens."""
    return f"{facts['address']}:{facts['port']}"


def master_secret(facts: Facts) -> list[dict[str, str]]:
    """Return the secret that RDS keeps for a database's master user."""
    name = "arn:{partition}:secretsmanager:{region}:{account}:secret:rds!db-{uuid}-{lower:6}"
    secret = {"secretArn": name, "secretStatus": "active", "kmsKeyId": facts["masterUserSecretKmsKeyId"]}
    return [facts.fill(secret)] if facts.get("manageMasterUserPassword") else []


def balancer(facts: Facts) -> str:
    """Return the end of a load balancer's ARN."""
    kind = {"network": "net", "gateway": "gwy"}.get(facts["loadBalancerType"], "app")
    return facts.text(f"{kind}/{{name}}/{{hex:16}}")


def balancer_arn(facts: Facts) -> str:
    """Return a load balancer's ARN."""
    return facts.text("arn:{partition}:elasticloadbalancing:{region}:{account}:loadbalancer/") + balancer(
        facts
    )


def balancer_name(facts: Facts) -> str:
    """Return a load balancer's domain name."""
    if facts["loadBalancerType"] == "network":
        return facts.text("{name}-{hex:16}.elb.{region}.{suffix}")
    inner = "internal-" if facts.get("internal") else ""
    return facts.text(f"{inner}{{name}}-{{digits:9}}.{{region}}.elb.{{suffix}}")


def listener_arn(facts: Facts) -> str:
    """Return a listener's ARN, which continues that of its load balancer."""
    return str(facts["loadBalancerArn"]).replace(":loadbalancer/", ":listener/") + facts.text("/{hex:16}")


def oidc_arn(facts: Facts) -> str:
    """Return the ARN of an identity provider, which ends in its address."""
    return facts.text("arn:{partition}:iam::{account}:oidc-provider/") + str(facts["url"]).removeprefix(
        "https://"
    )


def waf_arn(what: str) -> Callable[[Facts], str]:
    """Return what makes the ARN of a thing of WAF."""

    def arn(facts: Facts) -> str:
        place = "global" if facts["scope"] == "CLOUDFRONT" else "regional"
        return facts.text(f"arn:{{partition}}:wafv2:{{region}}:{{account}}:{place}/{what}/{{name}}/{{id}}")

    return arn


def waf_capacity(facts: Facts) -> int:
    """Return a capacity that grows with the rules."""
    return 50 * len(facts.get("rules") or [])


def _number(facts: Facts, spec: str, below: int) -> int:
    return int(facts.text(f"{{hex:{spec}}}"), 16) % below
