"""What the internet sees of a stack on AWS: its names and certificates, the load balancer, the CDN."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pulumi

from components.aws import cdn_addresses, certificate_authority, names
from components.aws.account import Account
from components.aws.certificate_authority import CertificateAuthority, CertificateAuthorityArgs
from components.aws.cloudflare import Cloudflare, CloudflareArgs
from components.aws.cloudfront import Cloudfront, CloudfrontArgs
from components.aws.cluster import Cluster
from components.aws.dns import Dns, DnsArgs
from components.aws.load_balancer import CDN_PORT, Addresses, LoadBalancer, LoadBalancerArgs
from components.aws.network import Network
from components.http_cache import Source
from stacks.aws import AwsSettings, CdnSettings
from stacks.regions import CLOUDFRONT_LISTS

ISSUERS = {
    "": ("letsencrypt.org",),
    "cloudflare": ("letsencrypt.org", "pki.goog", "ssl.com"),
    "cloudfront": ("amazon.com", "letsencrypt.org"),
}
"""CDN → who issues certificates for the names: for the edge's own always Let's Encrypt."""


@dataclass(frozen=True)
class FrontArgs:
    """What the front needs.

    Attributes:
        account: where it is.
        settings: those of AWS.
        network, cluster: where the edge's pods are.
        edge_port, edge_cdn_port: where they listen for clients, and for a CDN.
        drain_s: how long a connection to an edge that leaves is let finish, seconds.
        mirrored: what an image of another registry is called in the stack's own.
        allow_replace: the names that the stack gives free.
    """

    account: Account
    settings: AwsSettings
    network: Network
    cluster: Cluster
    edge_port: int
    edge_cdn_port: int
    drain_s: int
    mirrored: Callable[[str], str]
    allow_replace: Sequence[str] = ()


class Front(pulumi.ComponentResource):
    """``api.ZONE`` leads to the load balancer, or like ``console.ZONE`` to the CDN before it."""

    def __init__(self, name: str, args: FrontArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:index:Front", name, None, opts)
        self._args = args
        self._child = child = pulumi.ResourceOptions(parent=self)
        account, cluster, cdn = args.account, args.cluster, args.settings.cdn
        self._zone = args.settings.dns.zone
        self._dns = dns = Dns(
            "dns",
            DnsArgs(args.settings.dns, ISSUERS[cdn.provider if cdn else ""], args.allow_replace),
            child,
        )
        self._balancer = self._load_balancer()
        if not (cdn and cdn.api):
            dns.alias(names.api(self._zone), self._balancer.dns_name, self._balancer.zone_id)
        self._console_bucket = self._behind(cdn) if cdn else None
        proofs = cluster.grant(
            "cert-manager",
            namespace=certificate_authority.NAMESPACE,
            service_account=certificate_authority.SERVICE_ACCOUNT,
            policy=certificate_authority.policy(account, dns.zone_id),
        )
        self._authority = CertificateAuthority(
            "cert-manager",
            CertificateAuthorityArgs(
                account,
                cluster.provider,
                dns.zone_id,
                args.settings.dns.certificate_email,
                args.mirrored,
                after=[cluster, proofs],
            ),
            child,
        )
        self.register_outputs({})

    @property
    def name_servers(self) -> pulumi.Output[Sequence[str]] | None:
        """What the parent zone has to name, once; None where the zone was there before."""
        return self._dns.name_servers

    @property
    def console_bucket(self) -> pulumi.Output[str] | None:
        """The bucket that the console's files belong in; None where clients have them from the edge."""
        return self._console_bucket

    def certify(self, namespace: pulumi.Input[str]) -> str:
        """Have a certificate kept for the edge, and return the secret of ``namespace`` that holds it."""
        certified = names.certified(self._zone, self._args.settings.cdn)
        self._authority.issue(certified, namespace)
        return certificate_authority.SECRET

    def publish(self, service: str, namespace: pulumi.Input[str], after: Sequence[pulumi.Resource]) -> None:
        """Let the load balancer send clients to the pods of the edge, a ``service`` that ``after`` makes."""
        args = self._args
        self._balancer.bind(service, namespace, args.cluster.provider, after)

    def _load_balancer(self) -> LoadBalancer:
        args, cdn = self._args, self._args.settings.cdn
        direct = None if cdn and cdn.api else Addresses(tuple(map(str, args.settings.clients)))
        return LoadBalancer(
            "edge",
            LoadBalancerArgs(
                account=args.account,
                cluster_name=args.cluster.name,
                vpc_id=args.network.vpc_id,
                subnet_ids=args.network.public_subnet_ids,
                target_group_id=args.cluster.security_group_id,
                target_port=args.edge_port,
                cdn_target_port=args.edge_cdn_port,
                clients=direct,
                cdn=_addresses(cdn, args.account.region) if cdn else None,
                drain_s=args.drain_s,
                allow_replace=args.allow_replace,
                after=[args.network],
            ),
            self._child,
        )

    def _behind(self, cdn: CdnSettings) -> pulumi.Output[str] | None:
        """Put the CDN before the load balancer, let its names lead to it, and return its bucket, if any."""
        args, dns, balancer = self._args, self._dns, self._balancer
        sources = {names.console(self._zone): Source.CONSOLE, names.api(self._zone): Source.API}
        hosts = {host: sources[host] for host in names.behind_cdn(self._zone, cdn)}
        if cdn.provider == "cloudflare":
            flare = Cloudflare(
                "cloudflare", CloudflareArgs(cdn, hosts, (balancer.dns_name, CDN_PORT)), self._child
            )
            for host in hosts:
                dns.cname(host, flare.leads_to(host))
            return None
        origin = names.origin(self._zone)
        dns.alias(origin, balancer.dns_name, balancer.zone_id)
        front = Cloudfront(
            "cloudfront",
            CloudfrontArgs(
                account=args.account,
                settings=cdn,
                hosts=hosts,
                certificates={host: dns.certificate(host) for host in hosts},
                origin=(origin, CDN_PORT),
                allow_replace=args.allow_replace,
            ),
            self._child,
        )
        for host in hosts:
            dns.alias(host, *front.leads_to(host), ipv6=True)
        return front.console_bucket


def _addresses(cdn: CdnSettings, region: str) -> Addresses:
    """Return where a CDN connects from."""
    if cdn.provider == "cloudflare":
        return Addresses(networks=cdn_addresses.CLOUDFLARE)
    return Addresses(prefix_lists=(CLOUDFRONT_LISTS[region],))
