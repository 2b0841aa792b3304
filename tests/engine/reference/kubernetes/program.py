"""A small program whose plan and state were recorded with Pulumi's own CLI and kubernetes plugin."""

import pulumi
import pulumi_kubernetes as k8s

provider = k8s.Provider("cluster", enable_server_side_apply=True)
opts = pulumi.ResourceOptions(provider=provider)
namespace = k8s.core.v1.Namespace("platform", opts=opts)
config = k8s.core.v1.ConfigMap(
    "settings", metadata={"namespace": namespace.metadata.name}, data={"mode": "reference"}, opts=opts
)
secret = k8s.core.v1.Secret(
    "token",
    metadata={"namespace": namespace.metadata.name},
    string_data={"token": pulumi.Output.secret("not-a-real-one")},
    opts=opts,
)
labels = {"app": "gateway"}
deployment = k8s.apps.v1.Deployment(
    "gateway",
    metadata={"namespace": namespace.metadata.name},
    spec={
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "containers": [
                    {
                        "name": "gateway",
                        "image": "reference:1",
                        "envFrom": [{"configMapRef": {"name": config.metadata.name}}],
                    }
                ]
            },
        },
    },
    opts=pulumi.ResourceOptions(provider=provider, ignore_changes=["spec.replicas"]),
)
service = k8s.core.v1.Service(
    "gateway",
    metadata={"namespace": namespace.metadata.name},
    spec={"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
    opts=opts,
)
pulumi.export("service", service.metadata.name)
