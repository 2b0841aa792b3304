"""Rendered files are accepted by the real programs, in their images, without any privilege."""

import json
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from components import alerting
from components.service import Service
from stacks.alerts import AlertSettings
from stacks.settings import EdgeSettings
from tests.templates.rendered import (
    NO_CERTIFICATE,
    Starter,
    edge_service,
    output_of,
    plain_config,
    run_in,
    wait_until_healthy,
)

MAIL = {
    "to": ["people@example.org"],
    "sender": "platform@example.org",
    "host": "mail.example.org",
    "username": "platform",
    "password": "secret",
}


@pytest.mark.parametrize(
    "name",
    [
        *("alertmanager", "autoscaler", "edge", "postgres", "pgbouncer", "redis", "prometheus"),
        *("exporter-machine", "exporter-postgres", "exporter-probe", "exporter-redis"),
    ],
)
def test_a_service_becomes_healthy_with_its_files(
    name: str, services: Mapping[str, Service], started: Starter
) -> None:
    with started(services[name]) as container:
        wait_until_healthy(container, services[name])


def test_the_exporter_of_pgbouncer_becomes_healthy_where_there_is_one(
    services: Mapping[str, Service], started: Starter
) -> None:
    """Unlike the others it ends when what it asks is not there at its start; the target starts it again."""
    exporter = services["exporter-pgbouncer"]
    with started(services["pgbouncer"]) as pool, started(exporter, beside=pool) as container:
        wait_until_healthy(container, exporter)


@pytest.mark.parametrize(
    "settings",
    [
        EdgeSettings(),
        EdgeSettings(
            hsts_max_age_s=3600, trusted_proxies=(IPv4Network("10.0.0.0/8"), IPv4Network("192.0.2.0/24"))
        ),
    ],
    ids=["default", "behind a proxy"],
)
def test_nginx_accepts_the_edge_without_a_warning(settings: EdgeSettings, started: Starter) -> None:
    with started(edge_service(settings), command=["-t"]) as container:
        status = container.wait(timeout=30)["StatusCode"]
        output = output_of(container)
    assert status == 0, output
    assert "[warn]" not in output


def test_nginx_refuses_an_unknown_directive(services: Mapping[str, Service], started: Starter) -> None:
    edge = services["edge"]
    broken = plain_config(edge)["nginx.conf"].replace("server_tokens off;", "server_token off;")
    with started(replace(edge, config={"nginx.conf": broken}), command=["-t"]) as container:
        status = container.wait(timeout=30)["StatusCode"]
        output = output_of(container)
    assert status != 0
    assert 'unknown directive "server_token"' in output


@pytest.mark.parametrize(
    "command",
    [
        ("promtool", "check", "config", "--lint-fatal", "/etc/ollamamax/prometheus.yml"),
        ("promtool", "check", "web-config", "/etc/ollamamax/secrets/web.yml"),
        ("promtool", "check", "rules", "--lint-fatal", "/etc/ollamamax/load.rules.yml"),
    ],
    ids=["scraping", "web interface", "rules"],
)
def test_promtool_accepts_the_files_of_prometheus(
    command: tuple[str, ...], services: Mapping[str, Service], started: Starter
) -> None:
    with started(services["prometheus"]) as container:
        result = run_in(container, *command)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("alerts", [{}, {"webhook": {"url": "https://example.org/hook"}}, {"mail": MAIL}])
def test_amtool_accepts_each_way_to_people(alerts: dict[str, object], started: Starter) -> None:
    settings = AlertSettings.model_validate_json(json.dumps(alerts))
    service = alerting.describe(alerting.AlertingArgs(settings, NO_CERTIFICATE, "", "", ""))
    with started(service) as container:
        result = run_in(container, "amtool", "check-config", "/etc/ollamamax/alertmanager.yml")
    assert result.returncode == 0, result.stdout


def test_pgbouncer_becomes_healthy_before_a_managed_database(
    beside_managed_stores: Mapping[str, Service], started: Starter
) -> None:
    pgbouncer = beside_managed_stores["pgbouncer"]
    with started(pgbouncer) as container:
        wait_until_healthy(container, pgbouncer)


@pytest.mark.parametrize("name", ["gateway", "migrations"])
def test_the_gateway_accepts_its_file_beside_managed_stores(
    name: str, beside_managed_stores: Mapping[str, Service], started: Starter
) -> None:
    with started(beside_managed_stores[name], command=["check-config"]) as container:
        status = container.wait(timeout=30)["StatusCode"]
        output = output_of(container)
    assert status == 0, output


@pytest.mark.parametrize("name", ["gateway", "migrations"])
def test_the_gateway_accepts_its_file(name: str, services: Mapping[str, Service], started: Starter) -> None:
    with started(services[name], command=["check-config"]) as container:
        status = container.wait(timeout=30)["StatusCode"]
        output = output_of(container)
    assert status == 0, output


def test_postgres_uses_every_setting_that_its_file_names(
    services: Mapping[str, Service], started: Starter
) -> None:
    postgres = services["postgres"]
    refused = "select name || ': ' || error from pg_file_settings where error is not null"
    with started(postgres) as container:
        wait_until_healthy(container, postgres)
        applied = run_in(
            container,
            "psql",
            "--user=postgres",
            "-At",
            "-c",
            refused,
            "-c",
            "select count(*) from pg_hba_file_rules",
        )
    assert applied.stdout.splitlines() == ["2"], "a setting is refused, or a rule is missing"
