"""The forecaster in the graph."""

import yaml

from components import autoscaler, scaling
from tests.components.conftest import SECRET, Graph, Plan
from tests.components.placing import one, placed
from tests.components.test_watch import forecaster

FILE = "/etc/ollamamax/autoscaler.yaml"
SCRAPED = "/etc/ollamamax/prometheus.yml"


def test_it_reads_prometheus_with_a_password_from_a_file_and_the_stacks_authority(local: Graph) -> None:
    files = local.files(autoscaler.NAME)
    assert yaml.safe_load(files[FILE])["prometheus"] == {
        "url": "https://prometheus:9090",
        "ca": "/etc/ollamamax/secrets/ca.pem",
        "user": "prometheus",
        "passwordFile": "/etc/ollamamax/secrets/prometheus-password",
    }
    assert files["/etc/ollamamax/secrets/prometheus-password"] == SECRET
    assert "/etc/ollamamax/secrets/ca.pem" in files


def test_its_settings_reach_it(plan: Plan) -> None:
    graph = plan(
        autoscaler={"intervalS": 60, "coverage": 0.9, "startupS": 77, "freshnessS": 300},
        worker={"replicas": 3, "parallel": 6},
        monitoring={"scrapeIntervalS": 10},
    )
    settings = yaml.safe_load(graph.files(autoscaler.NAME)[FILE])
    assert (settings["intervalS"], settings["coverage"], settings["startupS"]) == (60, 0.9, 77)
    assert settings["reactionS"] == 10 + 60 + 10 + scaling.SYNC_S
    (pool,) = settings["pools"]
    assert (pool["name"], pool["service"], pool["slots"], pool["least"]) == ("worker", "worker", 6, 3)


def test_on_a_machine_it_asks_no_api_server(local: Graph) -> None:
    assert "cluster" not in yaml.safe_load(local.files(autoscaler.NAME)[FILE])


def test_on_a_cluster_it_may_list_pods_and_nothing_else() -> None:
    graph = placed(forecaster("prod"))
    assert one(graph, "Role", autoscaler.NAME)["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    ]
    template = one(graph, "Deployment", autoscaler.NAME)["spec"]["template"]
    assert template["spec"]["automountServiceAccountToken"] is True
    assert "ollamamax.io/kubernetes-api" in template["metadata"]["annotations"]


def test_there_is_one_of_it() -> None:
    assert forecaster("prod").replicas == 1
    assert forecaster("prod").scaling is None


def test_a_stack_can_do_without_it(plan: Plan) -> None:
    graph = plan(autoscaler=None)
    assert not [one for one in graph.containers if one.name.startswith(autoscaler.NAME)]
    jobs = {job["job_name"] for job in yaml.safe_load(graph.files("prometheus")[SCRAPED])["scrape_configs"]}
    with_it = yaml.safe_load(plan().files("prometheus")[SCRAPED])["scrape_configs"]
    assert {job["job_name"] for job in with_it} - jobs == {autoscaler.NAME}
