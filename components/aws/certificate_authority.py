"""cert-manager: the edge's certificate from Let's Encrypt, renewed by itself.

Costs nothing but its pods. Deleted, the edge goes on with the certificate that it has, for 30 to 90 days:
nothing renews it. The chart leaves its resource definitions behind when it goes, so that no certificate goes
with them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes
from pulumi_kubernetes import apiextensions, helm, meta

from components.aws.account import Account
from components.aws.documents import allow, document

VERSION = "v1.21.2"
REPOSITORY = "https://charts.jetstack.io"
IMAGES = {
    "image": "quay.io/jetstack/cert-manager-controller",
    "webhook": "quay.io/jetstack/cert-manager-webhook",
    "cainjector": "quay.io/jetstack/cert-manager-cainjector",
    "startupapicheck": "quay.io/jetstack/cert-manager-startupapicheck",
}
"""Part of the chart → its image."""
NAMESPACE = "cert-manager"
SERVICE_ACCOUNT = "cert-manager"
ISSUER = "letsencrypt"
ACME = "https://acme-v02.api.letsencrypt.org/directory"
SECRET = "edge-tls"  # noqa: S105 - the name of a Kubernetes secret
API = "cert-manager.io/v1"


@dataclass(frozen=True)
class CertificateAuthorityArgs:
    """What cert-manager needs.

    Attributes:
        account: where it is.
        provider: the cluster's.
        zone_id: zone in which it proves that the names are the stack's.
        email: whom the authority writes to.
        image: what an image is called here: its name in a cache, or as it is.
        after: what must be there first: the permission of its service account, nodes.
    """

    account: Account
    provider: pulumi_kubernetes.Provider
    zone_id: pulumi.Input[str]
    email: str
    image: Callable[[str], pulumi.Input[str]] = str
    after: Sequence[pulumi.Resource] = ()


class CertificateAuthority(pulumi.ComponentResource):
    """cert-manager with one issuer for the whole cluster."""

    def __init__(
        self, name: str, args: CertificateAuthorityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ollamamax:aws:CertificateAuthority", name, None, opts)
        self._args = args
        release = helm.v3.Release(
            name,
            name=NAMESPACE,
            namespace=NAMESPACE,
            create_namespace=True,
            chart="cert-manager",
            version=VERSION,
            repository_opts=helm.v3.RepositoryOptsArgs(repo=REPOSITORY),
            values=values(args.image),
            opts=self._in_cluster(args.after),
        )
        # The cluster knows the kind once the chart is installed.
        self._issuer = apiextensions.CustomResource(
            name,
            api_version=API,
            kind="ClusterIssuer",
            metadata=meta.v1.ObjectMetaArgs(name=ISSUER),
            spec={
                "acme": {
                    "server": ACME,
                    "email": args.email,
                    "privateKeySecretRef": {"name": f"{ISSUER}-account"},
                    "solvers": [
                        {"dns01": {"route53": {"region": args.account.region, "hostedZoneID": args.zone_id}}}
                    ],
                }
            },
            opts=self._in_cluster([release]),
        )
        self.register_outputs({})

    def issue(
        self, names: Sequence[str], namespace: pulumi.Input[str], after: Sequence[pulumi.Resource] = ()
    ) -> pulumi.Resource:
        """Return what keeps a certificate for ``names`` in the secret ``SECRET`` of ``namespace``."""
        return apiextensions.CustomResource(
            SECRET,
            api_version=API,
            kind="Certificate",
            metadata=meta.v1.ObjectMetaArgs(name=SECRET, namespace=namespace),
            spec={
                "secretName": SECRET,
                "dnsNames": list(names),
                "issuerRef": {"kind": "ClusterIssuer", "name": ISSUER},
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            },
            opts=self._in_cluster([self._issuer, *after]),
        )

    def _in_cluster(self, after: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, provider=self._args.provider, depends_on=list(after))


def values(image: Callable[[str], pulumi.Input[str]]) -> Mapping[str, Any]:
    """Return the chart's values: two of what answers the API server, and limits for all."""
    limits = {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}}
    repositories = {part: {"repository": image(name)} for part, name in IMAGES.items()}
    controller = repositories.pop("image")
    parts: dict[str, dict[str, Any]] = {
        part: {"image": repository, **limits} for part, repository in repositories.items()
    }
    parts["webhook"] |= {"replicaCount": 2, "podDisruptionBudget": {"enabled": True, "minAvailable": 1}}
    return {
        "crds": {"enabled": True, "keep": True},
        "image": controller,
        "serviceAccount": {"name": SERVICE_ACCOUNT},
        **limits,
        **parts,
    }


def policy(account: Account, zone_id: pulumi.Input[str]) -> pulumi.Output[str]:
    """Return the IAM policy, JSON, of cert-manager: it writes its proofs in the zone, and nothing else."""
    zone = pulumi.Output.concat(f"arn:{account.partition}:route53:::hostedzone/", zone_id)
    proofs = {
        "ForAllValues:StringEquals": {"route53:ChangeResourceRecordSetsRecordTypes": ["TXT"]},
        "ForAllValues:StringLike": {
            "route53:ChangeResourceRecordSetsNormalizedRecordNames": ["_acme-challenge.*"]
        },
    }
    return document(
        allow(["route53:ChangeResourceRecordSets"], [zone], proofs),
        allow(["route53:ListResourceRecordSets"], [zone]),
        allow(["route53:GetChange"], [f"arn:{account.partition}:route53:::change/*"]),
    )
