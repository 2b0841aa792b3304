"""The budgets of clusters and AWS, over the values of their settings: broken when the numbers say so."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stacks import addresses, budgets, capacity, hardware, models, read
from stacks.budgets import cloud, timeouts
from stacks.delivery import CanarySettings
from stacks.settings import Settings

ROOT = Path(__file__).parents[2]
EXAMPLE = "docs/examples/Pulumi.existing-cluster.yaml"
seconds = st.integers(1, 86_400)
short = st.integers(10, 7200)


def aws(**blocks: Any) -> Settings:
    """Return a stack on AWS that breaks no budget, but for these blocks."""
    return Settings.model_validate(
        {
            "target": "aws",
            "longest_generation_s": 20,
            "longest_stream_s": 20,
            "aws": {
                "account_id": "111122223333",
                "region": "eu-central-1",
                "zones": ("eu-central-1a", "eu-central-1b", "eu-central-1c"),
                "cluster": {"admin_roles": ("arn:aws:iam::111122223333:role/admin",)},
                "dns": {"zone": "llm.example.org", "certificate_email": "platform@example.org"},
                **blocks.pop("aws", {}),
            },
            "cost": {"monthly_usd": 100_000_000, "alarm_emails": ("platform@example.org",)},
            "edge": {"drain_delay_s": 180, **blocks.pop("edge", {})},
            **blocks,
        }
    )


def pool(**changes: Any) -> dict[str, Any]:
    return {
        "name": "chat",
        "models": ("mistral:7b",),
        "instance_types": ("g6.xlarge",),
        "autoscaling": {"min_replicas": 1, "max_replicas": 1},
        **changes,
    }


def about(s: Settings, *words: str) -> list[str]:
    return [sentence for sentence in budgets.check(s, "dev") if all(word in sentence for word in words)]


def test_an_ordinary_stack_on_aws_breaks_no_budget() -> None:
    assert budgets.check(aws(gpu_pools=(pool(),)), "dev") == []


def test_one_word_gives_everything_free() -> None:
    assert budgets.check(aws(policy={"allow_replace": ("*",)}), "dev") == []


@given(drain=seconds, delay=st.integers(0, 300), stream=short)
@example(drain=22, delay=2, stream=20)
@example(drain=21, delay=2, stream=20)
def test_a_rollout_waits_for_the_longest_answer(drain: int, delay: int, stream: int) -> None:
    s = aws(gateway={"drain_timeout_s": drain, "drain_delay_s": delay}, longest_stream_s=stream)
    assert bool(about(s, "a rollout would cut answers")) == (drain < stream + delay)


@given(drain=seconds, stream=short)
def test_a_rollout_of_the_edge_waits_too(drain: int, stream: int) -> None:
    s = aws(edge={"drain_timeout_s": drain}, longest_stream_s=stream)
    assert bool(about(s, "a rollout of the edge")) == (drain < stream)


@given(delay=st.integers(0, 300), stream=short)
@example(delay=119, stream=20)
@example(delay=120, stream=3480)
@example(delay=120, stream=3481)
def test_an_edge_leaves_after_the_load_balancer_has_sent_it_its_last_connection(
    delay: int, stream: int
) -> None:
    s = aws(edge={"drain_delay_s": delay}, longest_stream_s=stream)
    assert bool(about(s, "edge.drainDelayS", "new connections")) == (delay < timeouts.BALANCER_LEAVE_S)
    assert bool(about(s, "leaving edge")) == (delay + stream > timeouts.BALANCER_DRAIN_S)
    assert capacity.edge_drain_s(s) == delay + stream, "the last connection has its whole answer"


@given(tcp=seconds, http=seconds)
def test_the_load_balancer_forgets_no_connection_in_use(tcp: int, http: int) -> None:
    s = aws(edge={"tcp_keepalive_s": tcp, "keepalive_timeout_s": http})
    assert bool(about(s, "edge.tcpKeepaliveS")) == (tcp >= timeouts.BALANCER_TCP_IDLE_S)
    assert bool(about(s, "edge.keepaliveTimeoutS")) == (http >= timeouts.BALANCER_UDP_IDLE_S)


@given(
    provider=st.sampled_from(["cloudflare", "cloudfront"]),
    api=st.booleans(),
    idle=seconds,
    silence=short,
    body=st.integers(1, 1024),
)
@example(provider="cloudflare", api=True, idle=900, silence=120, body=95)
@example(provider="cloudflare", api=True, idle=901, silence=121, body=96)
def test_the_cdn_keeps_up_with_what_goes_through_it(
    provider: str, api: bool, idle: int, silence: int, body: int
) -> None:
    cdn = {
        "provider": provider,
        "api": api,
        "origin_keepalive_timeout_s": idle,
        "cloudflare_zone_id": "0123456789abcdef0123456789abcdef" if provider == "cloudflare" else None,
    }
    s = aws(aws={"cdn": cdn}, longest_generation_s=silence, gateway={"max_body_mib": body})
    assert bool(about(s, "originKeepaliveTimeoutS")) == (idle <= timeouts.CDN_IDLE_S[provider])
    assert bool(about(s, "longestGenerationS", "waits")) == (api and silence > timeouts.CDN_READ_S[provider])
    assert bool(about(s, "gateway.maxBodyMib")) == (api and body > timeouts.CDN_BODY_MIB[provider])


@given(cold=seconds, window=seconds)
@example(cold=600, window=600)
@example(cold=601, window=600)
def test_a_request_that_waits_for_a_worker_to_start_outlives_its_gateway(cold: int, window: int) -> None:
    def stack(least: int) -> Settings:
        return aws(
            gateway={"cold_start_timeout_s": cold},
            edge={"retry_window_s": window},
            gpu_pools=(pool(autoscaling={"min_replicas": least, "max_replicas": 1}),),
        )

    s = stack(0)
    assert bool(about(s, "coldStartTimeoutS", "edge.retryWindowS")) == (cold > window)
    assert timeouts.longest_silence_s(s) == 20 + max(cold, 30), "the edge waits as long"
    assert timeouts.longest_silence_s(stack(1)) == 20 + 30, "and not where a worker is always there"


@given(kept=st.integers(1, 60), least=st.integers(0, 40), most=st.integers(40, 50))
def test_what_is_kept_while_metrics_are_missing_is_within_the_limits(
    kept: int, least: int, most: int
) -> None:
    scaling = {"min_replicas": least, "max_replicas": most, "fallback_replicas": kept}
    s = aws(gpu_pools=(pool(autoscaling=scaling),))
    assert bool(about(s, "fallbackReplicas")) == (not least <= kept <= most)


@given(
    bought=st.sampled_from(["spot", "on-demand", "spot-first", "reserved"]),
    managed=st.sampled_from(["karpenter", "node-group"]),
    least=st.integers(0, 1),
)
def test_only_a_pool_whose_nodes_go_may_have_no_worker(bought: str, managed: str, least: int) -> None:
    scaling = {"min_replicas": least, "max_replicas": 1}
    s = aws(gpu_pools=(pool(autoscaling=scaling, management=managed, capacity=bought),))
    stay = managed == "node-group" or bought == "reserved"
    assert bool(about(s, "minReplicas (0) saves nothing")) == (stay and least == 0)


@given(replicas=st.integers(1, 20), most=st.integers(3, 1000), clients=st.integers(10, 50_000))
def test_pgbouncers_that_remain_take_every_connection(replicas: int, most: int, clients: int) -> None:
    s = aws(
        gateway={"autoscaling": {"max_replicas": most}},
        pool={"replicas": replicas, "max_client_conn": clients},
    )
    found = about(s, f"gateway.autoscaling.maxReplicas ({most})", f"pool.maxClientConn ({clients})")
    assert bool(found) == (most * 100 > clients * max(1, replicas - 1))


@given(
    kind=st.sampled_from(sorted(hardware.INSTANCE_TYPES)),
    gpus=st.integers(1, 16),
    memory=st.integers(16, 1_048_576),
    cpus=st.integers(1, 256),
)
def test_a_node_holds_as_many_workers_as_it_has_gpus_for(
    kind: str, gpus: int, memory: int, cpus: int
) -> None:
    s = aws(
        gpu_pools=(
            pool(
                instance_types=(kind,),
                gpus_per_replica=gpus,
                resources={"memory_mib": memory, "cpus": float(cpus)},
            ),
        )
    )
    node = hardware.INSTANCE_TYPES[kind]
    workers = node.gpus // gpus
    assert bool(about(s, "is more than the GPUs")) == (workers == 0)
    assert bool(about(s, "× resources.memoryMib")) == (workers * memory > node.pod_memory_mib)
    assert bool(about(s, "× resources.cpus")) == (workers * cpus > node.pod_cpus)


@given(
    names=st.lists(st.sampled_from(sorted(models.PUBLISHED)), min_size=1, max_size=3, unique=True),
    kinds=st.lists(st.sampled_from(sorted(hardware.INSTANCE_TYPES)), min_size=1, max_size=3, unique=True),
    context=st.integers(256, 131_072),
    parallel=st.integers(1, 64),
    gpus=st.integers(1, 4),
)
def test_models_fit_every_gpu_of_their_pool(
    names: list[str], kinds: list[str], context: int, parallel: int, gpus: int
) -> None:
    s = aws(
        gpu_pools=(
            pool(
                models=tuple(names),
                instance_types=tuple(kinds),
                context_length=context,
                parallel=parallel,
                gpus_per_replica=gpus,
            ),
        )
    )
    wanted = sum(models.PUBLISHED[name].loaded_mib(context, parallel) + models.RUNNER_MIB for name in names)
    small = [kind for kind in kinds if wanted > gpus * hardware.INSTANCE_TYPES[kind].gpu.memory_mib]
    assert len(about(s, "for CUDA")) == len(small)
    assert all(about(s, "for CUDA", f"a worker has of {kind} ") for kind in small)


@given(slices=st.integers(2, 7), mode=st.sampled_from(["mig", "time-slicing"]))
def test_workers_that_share_a_gpu_share_its_memory(slices: int, mode: str) -> None:
    s = aws(
        gpu_pools=(
            pool(
                instance_types=("p4de.24xlarge",),
                management="node-group",
                sharing={"mode": mode, "slices": slices},
                resources={"memory_mib": 1024, "cpus": 0.5},
            ),
        )
    )
    kind = hardware.INSTANCE_TYPES["p4de.24xlarge"]
    odd = mode == "mig" and slices not in hardware.MIG_SLICES
    assert bool(about(s, "sharing.slices")) == odd
    if not odd:
        share = capacity.gpu_share_mib(s.gpu_pools[0], kind)
        assert share * slices <= kind.gpu.memory_mib
        assert capacity.slots_a_node(s.gpu_pools[0], kind) == 8 * slices


@given(most=st.integers(1, 1000), nodes=st.integers(1, 1000), window=st.integers(0, 3600), after=seconds)
@example(most=4, nodes=1, window=300, after=300)
def test_a_pool_has_nodes_for_its_workers_and_keeps_them(
    most: int, nodes: int, window: int, after: int
) -> None:
    s = aws(
        gpu_pools=(
            pool(
                instance_types=("g6.12xlarge",),
                max_nodes=nodes,
                autoscaling={"min_replicas": 1, "max_replicas": most, "scale_down_window_s": window},
                disruption={"consolidate_after_s": after},
            ),
        )
    )
    assert bool(about(s, f"maxReplicas ({most})", f"maxNodes ({nodes})")) == (most > 4 * nodes)
    assert bool(about(s, "consolidateAfterS")) == (after < window)


@given(prefix=st.integers(16, 20), nodes=st.integers(1, 1000))
def test_subnets_hold_every_node_and_its_pods(prefix: int, nodes: int) -> None:
    s = Settings.model_validate_json(
        aws(gpu_pools=(pool(max_nodes=nodes),))
        .model_dump_json(by_alias=True)
        .replace("10.80.0.0/16", f"10.80.0.0/{prefix}"),
        by_alias=True,
        by_name=False,
    )
    assert s.aws
    room = 3 * addresses.usable(s.aws.network.cidr) / 8
    wanted = (nodes + capacity.general_nodes(s, trial=True)) * cloud.ADDRESSES_A_NODE
    if abs(room - wanted) > 3 * addresses.AWS_RESERVED:
        assert bool(about(s, "aws.network.cidr")) == (wanted > room)


@given(percent=st.integers(1, 100), memory=st.integers(4200, 13_000))
def test_a_pool_that_scales_on_memory_rests_below_the_target(percent: int, memory: int) -> None:
    scaling = {"min_replicas": 1, "max_replicas": 1, "memory_percent": percent}
    s = aws(gpu_pools=(pool(autoscaling=scaling, resources={"memory_mib": memory, "cpus": 3.0}),))
    steady = 100 * models.PUBLISHED["mistral:7b"].weights_mib // memory
    assert bool(about(s, "autoscaling.memoryPercent")) == (steady >= percent)


@pytest.mark.parametrize("file", ["stacks/Pulumi.staging.yaml", "stacks/Pulumi.prod.yaml", EXAMPLE])
def test_the_stacks_on_clusters_have_room_for_a_release_beside_all_gateways(file: str) -> None:
    settings = read(ROOT / file, "some")
    most = capacity.most_canaries(settings)
    assert most == capacity.most_gateways(settings)
    tried = settings.model_copy(update={"canary": CanarySettings(replicas=most)})
    assert budgets.check(tried, "some") == []
    more = settings.model_copy(update={"canary": CanarySettings(replicas=most + 1)})
    assert about(more, "canary.replicas")


def test_a_release_needs_nodes_of_its_own() -> None:
    s = aws(gateway={"autoscaling": {"max_replicas": 50}})
    one = s.gateway.resources.cpus / hardware.GENERAL_NODE.cpus / capacity.FILL_SHARE
    more = capacity.general_nodes(s, trial=True) - capacity.general_nodes(s)
    assert abs(more - 50 * one) <= 1
