"""The job that puts load on a platform on a cluster."""

import json
from typing import Any

import pulumi
import pytest

from components import edge, load
from components.service import INTERNET, Peer
from rehearsal.programs import K6
from stacks.loading import parse
from tests.components.conftest import ROOT
from tests.components.placing import one, placed

KEY = "omx-key"


def args(ca_certificate: str | None, **changed: Any) -> load.LoadArgs:
    settings = parse(
        {
            "target": "kubernetes",
            "kubernetes": {"context": "mine"},
            "longestStreamS": 20,
            "longestGenerationS": 20,
            "load": {"scenario": "report", "seconds": 90},
            "alerts": {"platformMs": {"target": 5, "warning": 7, "critical": 9}},
            **changed,
        },
        "test",
    )
    return load.LoadArgs(settings, "https://api.example.org", KEY, ca_certificate)


def test_the_scenario_holds_the_stack_to_its_own_numbers() -> None:
    script = str(load.describe(args(None)).config["scenario.js"])
    assert "duration: '90s'" in script
    assert "p(99)<7.0" in script


def test_where_the_stacks_authority_signs_the_edge_is_asked_by_its_name_in_the_cluster() -> None:
    service = load.describe(args("CA"))
    assert service.talks_to == (Peer(edge.NAME, edge.PORT),)
    assert service.reaches == ()
    assert service.secrets[load.CA] == "CA"
    assert service.env["SSL_CERT_FILE"] == f"/etc/ollamamax/secrets/{load.CA}"


def test_elsewhere_load_takes_the_way_of_the_clients() -> None:
    service = load.describe(args(None))
    assert service.talks_to == ()
    assert service.reaches == (INTERNET,)
    assert service.env == {}


@pytest.mark.parametrize(
    ("authority", "url"), [(None, "https://api.example.org"), ("CA", f"https://edge:{edge.PORT}")]
)
def test_address_and_key_are_in_a_secret_file(authority: str | None, url: str) -> None:
    known = load.describe(args(authority)).secrets["stack.json"]
    assert isinstance(known, pulumi.Output)

    def check(text: str) -> None:
        assert json.loads(text) == {"url": url, "key": KEY}

    pulumi.runtime.test(lambda: known.apply(check))()  # type: ignore[no-untyped-call]


def test_load_that_failed_is_not_put_on_again() -> None:
    job = one(placed(load.describe(args(None))), "Job", "load")
    assert job["spec"]["backoffLimit"] == 0


def test_the_image_has_the_k6_that_one_machine_has() -> None:
    assert f"ARG K6_VERSION={K6.version}\n" in (ROOT / "docker" / "load" / "Dockerfile").read_text()
