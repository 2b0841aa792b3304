"""A small program whose plan and state were recorded with Pulumi's own CLI and docker plugin."""

import pulumi
import pulumi_docker as docker


class Platform(pulumi.ComponentResource):
    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:index:Platform", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.network = docker.Network("backend", opts=child)
        self.volume = docker.Volume("data", opts=child)
        self.image = docker.Image(
            "service",
            image_name="reference-service:1",
            skip_push=True,
            build=docker.DockerBuildArgs(context="ctx", dockerfile="ctx/Dockerfile", platform="linux/amd64"),
            opts=child,
        )
        self.container = docker.Container(
            "service",
            image=self.image.image_name,
            command=["sleep", "300"],
            envs=["MODE=reference", pulumi.Output.secret("TOKEN=not-a-real-one")],
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=self.network.name, aliases=["service"])
            ],
            volumes=[docker.ContainerVolumeArgs(volume_name=self.volume.name, container_path="/data")],
            ports=[docker.ContainerPortArgs(internal=8080, external=18999, ip="127.0.0.1")],
            restart="unless-stopped",
            memory=64,
            read_only=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.volume]),
        )
        self.register_outputs({"container": self.container.name})


platform = Platform("platform")
pulumi.export("container", platform.container.name)
pulumi.export("token", pulumi.Output.secret("not-a-real-one"))
