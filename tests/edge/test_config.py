"""What others think of the configuration: gixy knows the mistakes that are often made in nginx's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stacks.settings import EdgeSettings
from tests.edge.conftest import describe
from tests.templates.rendered import plain_config

GATEWAYS = ["172.30.84.11:8080", "172.30.84.12:8080"]


def judged(config: str, folder: Path) -> list[dict[str, str]]:
    """Return what gixy finds."""
    file = folder / "nginx.conf"
    file.write_text(config)
    done = subprocess.run(
        [Path(sys.executable).with_name("gixy"), "--format", "json", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("cdn", [False, True], ids=["alone", "behind a CDN"])
def test_gixy_finds_nothing(tmp_path: Path, cdn: bool) -> None:
    settings = EdgeSettings(hsts_max_age_s=31_536_000)
    config = plain_config(describe(GATEWAYS, settings, cdn, canaries=["172.30.84.3"]))["nginx.conf"]
    assert judged(config, tmp_path) == []


def test_gixy_would_find_a_mistake(tmp_path: Path) -> None:
    config = plain_config(describe(GATEWAYS, EdgeSettings()))["nginx.conf"]
    broken = config.replace("location / {", "location / {\n            rewrite ^ http://$host$uri;", 1)
    assert judged(broken, tmp_path) != []
