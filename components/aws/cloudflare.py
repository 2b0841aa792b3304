"""Cloudflare: the same table and limits as CloudFront's, in a zone that is there already.

Costs a plan: Business (250 USD a month and zone), for names of a zone whose name servers are not Cloudflare's
and for limits over five minutes. Deleted, the console is away, and ``api`` too where it goes through the CDN.

Everything comes from the edge, the console's files too: Cloudflare has no way into a private bucket. So the
edge tells viewers what they may keep, and Cloudflare never keeps what the edge does not allow. What it keeps
of an older release goes on being served while pages that name it are open.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import pulumi

from components.http_cache import Kept, Rule, Source, rules
from stacks.aws import CdnSettings

SETTINGS = {
    "always_use_https": "on",
    "brotli": "on",
    "http3": "on",
    "min_tls_version": "1.2",
    "ssl": "strict",
    "tls_1_3": "on",
    "websockets": "on",
    # A request sent in 0-RTT could be replayed.
    "0rtt": "off",
}
"""Setting of the zone → value."""
AUTOMATIC = 1
"""Time to live of a proxied record."""
WINDOW_S = 300
MANAGED_RULES = "efb7b8c949ac4650a09736fc376e9aee"
"""Cloudflare's own set of rules against known attacks."""
ANONYMOUS = " and ".join(
    [
        *(f'len(http.request.headers["{header}"]) eq 0' for header in ("authorization", "x-api-key")),
        'http.cookie eq ""',
    ]
)


@dataclass(frozen=True)
class CloudflareArgs:
    """What Cloudflare needs.

    Attributes:
        settings: the CDN's; they name the zone.
        hosts: the names that it answers to, and where the pages of each come from.
        origin: name and port of the edge's load balancer.
    """

    settings: CdnSettings
    hosts: Mapping[str, Source]
    origin: tuple[pulumi.Input[str], int]


class Cloudflare(pulumi.ComponentResource):
    """Records and rules in the zone that the settings name."""

    def __init__(self, name: str, args: CloudflareArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:Cloudflare", name, None, opts)
        self._zone_id = str(args.settings.cloudflare_zone_id)
        # As the SDK does it: else the provider is another one for every engine.
        options = pulumi.ResourceOptions(parent=self, version=version("pulumi-cloudflare"))
        self._options = options
        if token := args.settings.cloudflare_token:
            given = {"apiToken": pulumi.Output.secret(token.get_secret_value())}
            provider = pulumi.ProviderResource("cloudflare", "cloudflare", given, options)
            self._options = pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(provider=provider))
        edge, port = args.origin
        for setting, value in sorted(SETTINGS.items()):
            self._make("cloudflare:index/zoneSetting:ZoneSetting", setting, settingId=setting, value=value)
        for host in args.hosts:
            self._make(
                "cloudflare:index/dnsRecord:DnsRecord",
                host,
                name=host,
                type="CNAME",
                content=edge,
                proxied=True,
                ttl=AUTOMATIC,
            )
        to_us = among(args.hosts)
        table = {host: rules(args.settings, source) for host, source in args.hosts.items()}
        self._rules("cache", "http_request_cache_settings", cache_rules(table))
        self._rules(
            "origin",
            "http_request_origin",
            [{"action": "route", "expression": to_us, "actionParameters": {"origin": {"port": port}}}],
        )
        self._rules(
            "rate",
            "http_ratelimit",
            [
                {
                    "action": "block",
                    "expression": to_us,
                    "ratelimit": {
                        "characteristics": ["cf.colo.id", "ip.src"],
                        "period": WINDOW_S,
                        "requestsPerPeriod": args.settings.requests_per_5_minutes,
                        "mitigationTimeout": WINDOW_S,
                    },
                }
            ],
        )
        self._rules(
            "attacks",
            "http_request_firewall_managed",
            [
                {
                    "action": "execute",
                    # A prompt about an attack looks like one: what is posted is not judged.
                    "expression": f'{to_us} and http.request.method ne "POST"',
                    "actionParameters": {"id": MANAGED_RULES},
                }
            ],
        )
        self.register_outputs({})

    def leads_to(self, host: str) -> str:
        """Return what Cloudflare calls ``host``, for the zone's own name servers."""
        return f"{host}.cdn.cloudflare.net"

    def _rules(self, name: str, phase: str, made: list[dict[str, object]]) -> None:
        self._make(
            "cloudflare:index/ruleset:Ruleset",
            name,
            name=f"OllamaMax: {name}",
            kind="zone",
            phase=phase,
            rules=[{"enabled": True, **rule} for rule in made],
        )

    def _make(self, kind: str, resource: str, /, **inputs: object) -> None:
        """Create a resource of the zone, by its type: importing the SDK takes longer than a preview may."""
        pulumi.CustomResource(
            kind,
            resource,
            {"zoneId": self._zone_id, **inputs},
            self._options,
        )


def among(hosts: Collection[str]) -> str:
    """Return the expression for requests to ``hosts``."""
    names = " ".join(f'"{host}"' for host in hosts)
    return f"http.host in {{{names}}}"


def fits(rule: Rule) -> str:
    """Return the expression for the paths of ``rule``."""
    exact = " ".join(f'"{path}"' for path in rule.paths if not path.endswith("*"))
    starts = [path[:-1] for path in rule.paths if path.endswith("*")]
    found = [f"http.request.uri.path in {{{exact}}}"] if exact else []
    found += [f'starts_with(http.request.uri.path, "{start}")' if start else "true" for start in starts]
    return f"({' or '.join(found)})"


def cache_rules(table: Mapping[str, Sequence[Rule]]) -> list[dict[str, object]]:
    """Return what is kept of each host's answers. The last rule that fits wins: the first keeps nothing."""
    nothing: dict[str, object] = {
        "action": "set_cache_settings",
        "expression": among(table),
        "actionParameters": {"cache": False},
    }
    kept: list[dict[str, object]] = [
        {
            "action": "set_cache_settings",
            "expression": " and ".join(
                [among([host]), fits(rule), *([ANONYMOUS] if rule.kept is Kept.ANONYMOUS else [])]
            ),
            "actionParameters": {
                "cache": True,
                # What the edge says, and nothing where it says nothing.
                "edgeTtl": {"mode": "bypass_by_default"},
                "browserTtl": {"mode": "respect_origin"},
            },
        }
        for host, rules_of_host in table.items()
        for rule in rules_of_host
        if rule.kept is not Kept.NEVER
    ]
    return [nothing, *kept]
