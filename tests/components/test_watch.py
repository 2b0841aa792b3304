"""Prometheus and the forecaster, wired: who is scraped, and which pools are watched."""

import yaml

from components import autoscaler, monitoring, watch
from components.service import Peer, Service
from ollamamax_autoscaler.forecast import Parameters
from stacks.autoscaler import AutoscalerSettings
from stacks.loading import read
from tests.components.conftest import ROOT, Graph

FILES = "/etc/ollamamax"


def forecaster(stack: str) -> Service:
    """Return the forecaster of a stack of this repository."""
    settings = read(ROOT / f"stacks/Pulumi.{stack}.yaml", stack)
    assert settings.autoscaler
    return autoscaler.describe(
        autoscaler.AutoscalerArgs(
            settings.autoscaler,
            watch.watched(settings),
            Peer(monitoring.NAME, monitoring.PORT),
            monitoring.USER,
            "password",
            "CA",
            settings.monitoring.scrape_interval_s,
            exact=False,
            asks_api=settings.target == "aws",
        )
    )


def test_prometheus_scrapes_the_forecaster_and_the_forecaster_reads_prometheus(local: Graph) -> None:
    config = yaml.safe_load(local.files("prometheus")["/etc/ollamamax/prometheus.yml"])
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert jobs["autoscaler"]["static_configs"] == [{"targets": ["autoscaler:9090"]}]
    assert forecaster("local").talks_to == (Peer("prometheus", 9090),)


def test_every_pool_is_watched_within_its_own_limits() -> None:
    settings = read(ROOT / "stacks/Pulumi.prod.yaml", "prod")
    watched = {pool.name: pool for pool in watch.watched(settings)}
    assert sorted(watched) == sorted(pool.name for pool in settings.gpu_pools)
    for pool in settings.gpu_pools:
        found, scaling = watched[pool.name], pool.autoscaling
        assert (found.least, found.most) == (scaling.min_replicas, scaling.max_replicas)
        assert (found.service, found.slots) == (f"worker-{pool.name}", pool.parallel)
    assert len(yaml.safe_load(str(forecaster("prod").config["autoscaler.yaml"]))["pools"]) == len(watched)


def test_a_forecast_covers_what_it_was_tuned_to_unless_a_stack_says_else() -> None:
    assert AutoscalerSettings().coverage == Parameters.coverage


def test_production_keeps_samples_as_long_as_the_forecaster_looks_back() -> None:
    kept = read(ROOT / "stacks/Pulumi.prod.yaml", "prod").monitoring.retention_hours
    looked_back = Parameters().history_s / 3600
    assert looked_back == 408, "as the settings and docs/autoscaling.md say"
    assert kept >= looked_back


def test_workers_without_a_gpu_are_one_pool() -> None:
    settings = read(ROOT / "stacks/Pulumi.local.yaml", "local")
    (pool,) = watch.watched(settings)
    assert (pool.name, pool.service) == ("worker", "worker")


def test_all_that_prometheus_asks_is_placed(local: Graph) -> None:
    jobs = yaml.safe_load(local.files("prometheus")[f"{FILES}/prometheus.yml"])["scrape_configs"]
    groups = [group for job in jobs for group in job["static_configs"]]
    targets = {target for group in groups if not group.get("labels") for target in group["targets"]}
    hosts = {target.rpartition(":")[0] for target in targets} - {"127.0.0.1"}
    aliases = {
        alias
        for one in local.containers
        for network in one.inputs["networksAdvanced"]
        for alias in network["aliases"]
    }
    assert hosts <= aliases
    assert {"alertmanager", "edge-1", "exporter-probe"} <= hosts


def test_alerts_go_to_the_stacks_own_alertmanager(local: Graph) -> None:
    found = yaml.safe_load(local.files("prometheus")[f"{FILES}/prometheus.yml"])
    (one,) = found["alerting"]["alertmanagers"]
    assert one["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    assert one["scheme"] == "https"
    assert found["rule_files"] == [f"{FILES}/load.rules.yml", f"{FILES}/rules-*.yml"]
    assert f"{FILES}/rules-platform.yml" in local.files("prometheus")
