"""A program's objects in a real API server: made, compared, changed and removed by the engine."""

from tests.kubernetes.stack import Stack

PLATFORM = """
namespace = k8s.core.v1.Namespace("platform")
meta = {"namespace": namespace.metadata.name}
config = k8s.core.v1.ConfigMap("settings", metadata=meta, data={"mode": "MODE"})
labels = {"app": "gateway"}
container = {
    "name": "gateway", "image": "reference:1", "envFrom": [{"configMapRef": {"name": config.metadata.name}}],
    "resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}, "requests": {"cpu": "250m"}},
}
k8s.apps.v1.Deployment("gateway", metadata=meta, spec={
    "replicas": 2, "selector": {"matchLabels": labels},
    "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
})
k8s.core.v1.Service("gateway-service", metadata=meta, spec={"selector": labels, "ports": [{"port": 80}]})
"""


def test_objects_are_applied_and_applying_them_again_changes_nothing(stack: Stack) -> None:
    stack.program(PLATFORM)
    said = stack.up().stdout
    print(said)
    assert "Resources:\n    + 5 created\n" in said
    print(stack.up("--expect-no-changes").stdout)
    print(stack.run("refresh", "--yes").stdout)
    print(stack.up("--expect-no-changes").stdout)
    print(stack.run("destroy", "--yes").stdout)
