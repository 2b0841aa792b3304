"""Timeouts from the client to the model and back: each hop allows what the hops around it need."""

from collections.abc import Iterator

from stacks import capacity
from stacks.settings import Settings

BALANCER_TCP_IDLE_S = 350
"""A network load balancer forgets a TCP connection after so long a silence, and tells nobody. Fixed for
TCP_UDP listeners: docs.aws.amazon.com/elasticloadbalancing/latest/network/network-load-balancers.html"""
BALANCER_UDP_IDLE_S = 120
"""The same for UDP, which HTTP/3 runs on."""
BALANCER_DRAIN_S = 3600
"""How long a network load balancer lets a target that leaves go on, at most:
docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html"""
BALANCER_LEAVE_S = 120
"""How long it goes on sending new connections to a target that has been told to leave, at the least. AWS's
pages say that it stops at once; those who measured it found two minutes:
kubernetes-sigs/aws-load-balancer-controller issue 2366, aws/containers-roadmap issue 470."""
CDN_READ_S = {"cloudflare": 120, "cloudfront": 60}
"""How long a CDN waits for the next piece of an answer before it gives up. Cloudflare: Proxy Read Timeout,
developers.cloudflare.com/fundamentals/reference/connection-limits. CloudFront: origin response timeout, what
every account may set; up to 180 s by quota "Response timeout per origin"."""
CDN_IDLE_S = {"cloudflare": 900, "cloudfront": 60}
"""How long a CDN keeps an idle connection to its origin. Cloudflare: Proxy Idle Timeout, fixed. CloudFront:
origin keep-alive timeout, at most."""
CDN_BODY_MIB = {"cloudflare": 95, "cloudfront": 20_480}
"""Largest request body that a CDN passes on. Cloudflare: 100 MB in plans Free and Pro. CloudFront: 20 GB."""


def longest_silence_s(s: Settings) -> int:
    """Return for how long a gateway may send nothing, seconds: a request waits, and then the model thinks."""
    waits = (s.gateway.wait_for_node_s, s.gateway.routing.queue.max_wait_s, capacity.cold_start_s(s))
    return s.longest_generation_s + max(waits)


def timeouts(s: Settings) -> Iterator[str]:
    """Within the platform, each hop allows what the hops around it need."""
    if s.edge.upstream_keepalive_timeout_s >= s.gateway.idle_timeout_s:
        yield (
            f"edge.upstreamKeepaliveTimeoutS ({s.edge.upstream_keepalive_timeout_s} s) must be less than "
            f"gateway.idleTimeoutS ({s.gateway.idle_timeout_s} s): the edge sends the requests, so it must "
            "close idle connections first"
        )
    if s.gateway.drain_delay_s >= s.gateway.drain_timeout_s:
        yield (
            f"gateway.drainDelayS ({s.gateway.drain_delay_s} s) must be less than gateway.drainTimeoutS "
            f"({s.gateway.drain_timeout_s} s), which includes it"
        )
    queue, ejection = s.gateway.routing.queue, s.gateway.routing.ejection
    if queue.per_key > queue.total:
        yield (
            f"gateway.routing.queue.perKey ({queue.per_key}) is more than gateway.routing.queue.total "
            f"({queue.total}): one key could fill the queue"
        )
    if ejection.longest_s < ejection.base_s:
        yield (
            f"gateway.routing.ejection.longestS ({ejection.longest_s} s) is less than "
            f"gateway.routing.ejection.baseS ({ejection.base_s} s)"
        )
    if s.monitoring.scrape_timeout_s > s.monitoring.scrape_interval_s:
        yield (
            f"monitoring.scrapeTimeoutS ({s.monitoring.scrape_timeout_s} s) is more than "
            f"monitoring.scrapeIntervalS ({s.monitoring.scrape_interval_s} s)"
        )


def load_balancer(s: Settings) -> Iterator[str]:
    """On AWS, the load balancer remembers every connection for as long as both of its ends do."""
    if s.target != "aws":
        return
    if s.edge.drain_delay_s < BALANCER_LEAVE_S:
        yield (
            f"edge.drainDelayS ({s.edge.drain_delay_s} s) must be at least the {BALANCER_LEAVE_S} s for "
            "which a network load balancer goes on sending new connections to an edge that leaves: raise it; "
            "180 s leave some room"
        )
    finish = capacity.edge_drain_s(s)
    if finish > BALANCER_DRAIN_S:
        yield (
            f"edge.drainDelayS ({s.edge.drain_delay_s} s) + longestStreamS ({s.longest_stream_s} s) = "
            f"{finish} s is more than the {BALANCER_DRAIN_S} s for which a network load balancer lets a "
            "leaving edge finish: lower longestStreamS"
        )
    if s.edge.tcp_keepalive_s >= BALANCER_TCP_IDLE_S:
        yield (
            f"edge.tcpKeepaliveS ({s.edge.tcp_keepalive_s} s) must be less than the {BALANCER_TCP_IDLE_S} s "
            "after which the network load balancer forgets a silent TCP connection: a model may think for "
            f"longestGenerationS ({s.longest_generation_s} s)"
        )
    if s.edge.keepalive_timeout_s >= BALANCER_UDP_IDLE_S:
        yield (
            f"edge.keepaliveTimeoutS ({s.edge.keepalive_timeout_s} s) must be less than the "
            f"{BALANCER_UDP_IDLE_S} s after which the network load balancer forgets a silent UDP flow: an "
            "HTTP/3 client would go on using a connection that leads nowhere"
        )


def cdn(s: Settings) -> Iterator[str]:
    """What goes through the CDN keeps to the CDN's limits, and the CDN closes idle connections first."""
    if s.aws is None or s.aws.cdn is None:
        return
    settings = s.aws.cdn
    idle, read, body = (limit[settings.provider] for limit in (CDN_IDLE_S, CDN_READ_S, CDN_BODY_MIB))
    if settings.origin_keepalive_timeout_s <= idle:
        yield (
            f"aws.cdn.originKeepaliveTimeoutS ({settings.origin_keepalive_timeout_s} s) must be more than "
            f"the {idle} s for which {settings.provider} keeps an idle connection to the edge: it sends the "
            "requests, so it must close first"
        )
    if settings.api and s.longest_generation_s > read:
        yield (
            f"longestGenerationS ({s.longest_generation_s} s) is more than the {read} s that "
            f"{settings.provider} waits for the next piece of an answer: lower it, or set aws.cdn.api to "
            "false, so that the API does not pass through the CDN"
        )
    cold = capacity.cold_start_s(s)
    if settings.api and cold > read:
        yield (
            f"gateway.coldStartTimeoutS ({cold} s), for pools with minReplicas 0, is more than the {read} s "
            f"that {settings.provider} waits for an answer: keep a worker, or set aws.cdn.api to false, so "
            "that the API does not pass through the CDN"
        )
    if settings.api and s.gateway.max_body_mib > body:
        yield (
            f"gateway.maxBodyMib ({s.gateway.max_body_mib} MiB) is more than the {body} MiB that "
            f"{settings.provider} passes on: lower it, or set aws.cdn.api to false"
        )


def rollouts(s: Settings) -> Iterator[str]:
    """On a cluster, what is stopped lets the longest answer end; a spot node has 120 s at the most."""
    if s.target == "docker":
        return
    wanted = s.longest_stream_s + s.gateway.drain_delay_s
    if s.gateway.drain_timeout_s < wanted:
        yield (
            f"gateway.drainTimeoutS ({s.gateway.drain_timeout_s} s) must be at least longestStreamS "
            f"({s.longest_stream_s} s) + gateway.drainDelayS ({s.gateway.drain_delay_s} s) = {wanted} s: "
            "a rollout would cut answers"
        )
    if s.edge.drain_timeout_s < s.longest_stream_s:
        yield (
            f"edge.drainTimeoutS ({s.edge.drain_timeout_s} s) must be at least longestStreamS "
            f"({s.longest_stream_s} s): a rollout of the edge would cut answers"
        )
    if s.longest_stream_s < s.longest_generation_s:
        yield (
            f"longestStreamS ({s.longest_stream_s} s) must be at least longestGenerationS "
            f"({s.longest_generation_s} s): a rollout would cut a model that still thinks"
        )
