"""The simulated AWS in a folder of the test's own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.backend import write_file
from engine.simulated.cloud import Cloud
from engine.simulated.provider import AwsProvider, CloudflareProvider
from tests.engine.providers.harness import Plugin
from tests.engine.simulated.catalogue import Made

REGION = "eu-central-1"
CLOUDFLARE = pytest.mark.filterwarnings("ignore::DeprecationWarning:pulumi_cloudflare")
"""For tests that import the SDK of cloudflare, which warns of itself."""
Aws = Callable[..., Plugin]


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    """Start the provider over the same folder, again if need be, with settings and what exists elsewhere."""
    plugins: list[Plugin] = []

    def start(*existing: str, **settings: Any) -> Plugin:
        cloud = Cloud(tmp_path / "cloud", write_file, existing)
        plugins.append(Plugin(AwsProvider(cloud), {"region": REGION, **settings}))
        return plugins[-1]

    yield start
    for plugin in plugins:
        plugin.close()


@pytest.fixture
def plugin(aws: Aws) -> Plugin:
    """The provider in an empty cloud."""
    return aws()


@pytest.fixture
def made(plugin: Plugin) -> Made:
    """What of the catalogue a test makes."""
    return Made(plugin)


@pytest.fixture
def cloudflare() -> Iterator[Plugin]:
    """The provider of cloudflare."""
    plugin = Plugin(CloudflareProvider(Cloud(None, write_file)), {})
    yield plugin
    plugin.close()
