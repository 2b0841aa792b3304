"""Rendered text is reviewed as text: pytest --update-golden writes it anew, and the change is in the diff."""

from collections.abc import Mapping
from pathlib import Path

import jinja2
import pytest

from components.rendering import TEMPLATES, render
from components.service import Service
from stacks.settings import EdgeSettings
from tests.templates.rendered import edge_service, plain_config, secret_files

GOLDEN = Path(__file__).parent / "golden"
EXPORTERS = ("machine", "pgbouncer", "postgres", "probe", "redis")
NAMES = (
    *("alertmanager", "autoscaler", "edge", "gateway", "migrations", "postgres", "pgbouncer", "redis"),
    "prometheus",
    *(f"exporter-{of}" for of in EXPORTERS),
)


@pytest.mark.parametrize("name", NAMES)
def test_files_of_a_service_are_as_reviewed(
    name: str, services: Mapping[str, Service], pytestconfig: pytest.Config
) -> None:
    folder = GOLDEN / name
    rendered = plain_config(services[name]) | {
        f"secrets/{file}": text for file, text in secret_files(name).items()
    }
    if pytestconfig.getoption("--update-golden"):
        for file, text in rendered.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
    reviewed = {
        str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()
    }
    assert rendered == reviewed


def test_every_service_with_templates_is_reviewed(services: Mapping[str, Service]) -> None:
    assert sorted(services) == sorted(NAMES)


@pytest.mark.parametrize(
    "template",
    [
        "nginx/nginx.conf.j2",
        "gateway/gateway.yaml.j2",
        "postgres/postgresql.conf.j2",
        "pgbouncer/pgbouncer.ini.j2",
        "pgbouncer/userlist.txt.j2",
        "redis/redis.conf.j2",
        "redis/password.conf.j2",
        "alertmanager/alertmanager.yml.j2",
        "exporters/blackbox.yml.j2",
        "exporters/postgres.j2",
        "exporters/redis.j2",
        "grafana/platform.yml.j2",
        "prometheus/prometheus.yml.j2",
        "prometheus/load.rules.yml.j2",
        "prometheus/rules/platform.yml.j2",
        "prometheus/web.yml.j2",
        "autoscaler/autoscaler.yaml.j2",
    ],
)
def test_a_missing_variable_is_an_error(template: str) -> None:
    assert (TEMPLATES / template).is_file()
    with pytest.raises(jinja2.UndefinedError):
        render(template)


@pytest.mark.parametrize("directive", ["gzip_types", "brotli_types"])
def test_streams_are_never_compressed(directive: str, services: Mapping[str, Service]) -> None:
    lines = plain_config(services["edge"])["nginx.conf"].splitlines()
    types = [line.strip(" ;").split()[1:] for line in lines if line.strip().startswith(directive)]
    assert len(types) == 1, f"{directive} is set {len(types)} times"
    assert "application/json" in types[0]
    assert not {"application/x-ndjson", "text/event-stream", "*"} & set(types[0])


def test_no_location_of_the_edge_drops_the_headers_of_the_server(services: Mapping[str, Service]) -> None:
    # One add_header in a location hides all of those outside it.
    server = plain_config(services["edge"])["nginx.conf"].split("\n    server {")[-1]
    indents = {len(line) - len(line.lstrip()) for line in server.splitlines() if "add_header " in line}
    assert indents == {8}, "every add_header must stand in the server block itself"


def test_strict_transport_security_is_sent_only_where_a_stack_asks(services: Mapping[str, Service]) -> None:
    asked = plain_config(edge_service(EdgeSettings(hsts_max_age_s=3600)))["nginx.conf"]
    assert 'Strict-Transport-Security "max-age=3600"' in asked
    assert "Strict-Transport-Security" not in plain_config(services["edge"])["nginx.conf"]
