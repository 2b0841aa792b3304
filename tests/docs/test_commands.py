"""Every command of the pages is run by a test: here, where a simulated cloud is enough, or elsewhere."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkouts import commit, git
from tests.docs.test_pages import PAGES, ROOT, scripts
from tests.e2e.conftest import copy_checkout

HERE = {
    "README.md": ["make preview STACK=prod SIMULATE=1", "make up STACK=prod SIMULATE=1"],
    "architecture.md": ["export PULUMI_BACKEND_URL", ".venv/bin/python -m engine"],
    "ci.md": ["make impact STACK=prod", "make comment ", "make drift STACK=prod"],
    "cost.md": ["make cost STACK=prod JSON=1"],
    "kubernetes.md": ["cp docs/examples", "make preview STACK=mine SIMULATE=1"],
    "operations.md": ["make preview STACK=prod", "make cost STACK=prod"],
}
"""Page → how the commands begin that are run here, all in one checkout, in this order."""
ELSEWHERE = {
    "make backup": "tests/e2e/test_6_restore.py",
    "make bench": "tests/bench/test_bench.py",
    "make bootstrap": "tests/ops/test_bootstrap.py",
    "make comment PULL=": "tests/ops/test_workflows_played.py",
    "make compare": "tests/e2e/test_7_delivery.py",
    "make dashboards": "tests/e2e/test_6_observability.py",
    "make load": "tests/ops/test_load.py",
    "make outputs": "tests/e2e/test_1_up.py",
    "make profile": "tests/bench/test_bench.py",
    "make promote": "tests/e2e/test_7_delivery.py",
    "make rehearse": "tests/rehearsal/test_rehearsal.py",
    "make release": "tests/e2e/test_7_delivery.py",
    "make replay": "tests/rehearsal/replay",
    "make restore": "tests/e2e/test_6_restore.py",
    "make rollback": "tests/e2e/test_7_delivery.py",
    "make sbom": "tests/ops/test_sbom.py",
    "make secret": "tests/ops/test_secret.py",
    "make second-opinion": "tests/second_opinion",
    "make swap": "tests/e2e/test_7_delivery.py",
    "make test": ".ci/run",
    "make up ": "tests/e2e/conftest.py",
    ".venv/bin/python -m rehearsal.replay": "tests/rehearsal/replay",
    "curl ": "tests/e2e/test_2_clients.py",
    "docker exec ollamamax-local-gateway-1": "tests/e2e/test_2_clients.py",
    "export OLLAMAMAX_KEY": "tests/e2e/test_2_clients.py",
    "kubectl --namespace ollamamax port-forward": "tests/kubernetes/test_kubectl.py",
    "kubectl --namespace ollamamax ": "tests/kubernetes/test_release.py",
    "tar -xOf backups": "tests/e2e/test_6_restore.py",
}
"""How a command begins → where the same is run."""
NOWHERE = (
    "aws ",
    "docker logs ",
    "docker run --network host",
    "for n in 1 2",
    "kubectl --namespace keda logs",
    "kubectl --namespace ollamamax exec",
    "make up STACK=mine",
)
"""What needs an account, a cluster, a Grafana, or the id of somebody's request."""
RUNBOOKS = ROOT / "docs" / "runbooks"
"""Their commands are run on the running platform."""


def commands(page: Path) -> Iterator[str]:
    """Yield the commands of a page, each as one line, without what is said of it."""
    for script in scripts(page):
        for line in script.replace("\\\n", " ").splitlines():
            if line.strip():
                yield re.sub(r"\s+# .*", "", line) + " "


@pytest.mark.parametrize("page", [page for page in PAGES if scripts(page)], ids=lambda page: page.name)
def test_every_command_is_run_somewhere_or_cannot_be(page: Path) -> None:
    if page.parent == RUNBOOKS:
        return
    known = (*HERE.get(page.name, []), *ELSEWHERE, *NOWHERE)
    assert [line for line in commands(page) if not line.startswith(known)] == []


@pytest.mark.parametrize("place", sorted({*ELSEWHERE.values()}))
def test_where_a_command_is_run_there_is_a_test(place: str) -> None:
    assert (ROOT / place).exists()


@pytest.mark.long
def test_what_a_simulated_cloud_is_enough_for_works_page_after_page(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path).root
    git(checkout, "init", "--quiet", "--initial-branch=main")
    commit(checkout, "What is here")
    git(checkout, "update-ref", "refs/remotes/origin/main", "HEAD")
    for page in PAGES:
        begins = tuple(HERE.get(page.name, []))
        lines = [
            line for line in commands(page) if begins and line.startswith(begins) and "PULL=" not in line
        ]
        if lines:
            script = "\n".join(["set -e -o pipefail", *lines])
            done = subprocess.run(
                ["bash", "-c", script], cwd=checkout, env=os.environ, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{page.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
