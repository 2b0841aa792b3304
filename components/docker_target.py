"""The docker target: services as containers on one machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components import naming
from components.images import BuiltImages
from components.service import CONFIG_DIR, SECRETS_DIR, USER, Exposure, Placed, Probe, Service
from stacks.settings import DockerSettings

CONTAINER = "docker:index/container:Container"
LOOPBACK = "127.0.0.1"
CONFIG_MODE = "0444"
SECRET_MODE = "0440"  # noqa: S105 - a file mode
LOG_FILES = "3"
SWITCHES_MIB = 1
HEALTH_PERIOD_S = 15
"""Between two health checks of a container that is healthy, seconds. Each is a process that Docker starts.

With one every two to five seconds in all of a stack's, on two cores, what the platform answers by
itself took three to eight times as long under the report's load: p99 of 107 to 254 ms, instead of 29 to 37.
"""


@dataclass(frozen=True)
class DockerTargetArgs:
    """What the docker target needs."""

    settings: DockerSettings
    stack: str
    version: str
    """Version of the platform, stamped on the images."""
    port_offset: int


@dataclass(frozen=True)
class Files:
    """A service's configuration and secrets, in a volume."""

    volume: docker.Volume
    carrier: docker.Container
    """What brought them there: the services start after it."""
    digest: pulumi.Output[str]
    """Changes with any of the files that the service reads at its start, so that a change replaces it."""


class DockerTarget(pulumi.ComponentResource):
    """The stack's Docker network, and the images built for it."""

    def __init__(self, name: str, args: DockerTargetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:index:DockerTarget", name, None, opts)
        self._args = args
        self._images = BuiltImages(self, args.version)
        subnet = args.settings.subnet
        self._network = docker.Network(
            "network",
            name=f"ollamamax-{args.stack}",
            driver="bridge",
            ipam_configs=[
                docker.NetworkIpamConfigArgs(
                    subnet=str(subnet), gateway=str(subnet[1]), ip_range=str(naming.dynamic_range(subnet))
                )
            ],
            labels=[
                docker.NetworkLabelArgs(label=label, value=value)
                for label, value in self._labels(
                    "network", "network", "docker:index/network:Network", self
                ).items()
            ],
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.register_outputs({"network": self._network.name})

    def addresses(self, service_name: str, replicas: int) -> Sequence[str]:
        """Return the fixed addresses that the replicas of ``service_name`` have or will have."""
        subnet = self._args.settings.subnet
        return [naming.fixed_address(subnet, service_name, index) for index in range(1, replicas + 1)]

    def place(
        self, service: Service, parent: pulumi.Resource, after: Sequence[pulumi.Resource] = ()
    ) -> Placed:
        """Create the containers and volumes of ``service``, each replica after the one before it is ready."""
        addresses = self.addresses(service.name, service.replicas) if service.fixed_address else []
        files = self._files(service, parent) if service.config or service.secrets else None
        replicas: list[pulumi.Resource] = []
        for index in range(1, service.replicas + 1):
            address = addresses[index - 1] if addresses else None
            # No data flows between replicas: the order keeps one serving while another is replaced.
            container = self._container(service, index, address, files, parent, [*after, *replicas])
            if service.runs_to_completion:
                _expect_success(container, service.name)
            replicas.append(container)
        return Placed(replicas, addresses)

    def lead(self, name: str, service: Service, parent: pulumi.Resource) -> Sequence[pulumi.Resource]:
        """Do nothing: replicas are reached at addresses of their own."""
        return []

    def _container(
        self,
        service: Service,
        index: int,
        address: str | None,
        files: Files | None,
        parent: pulumi.Resource,
        after: Sequence[pulumi.Resource],
    ) -> docker.Container:
        name = f"{service.name}-{index}"
        settings = self._args.settings
        job, ready = service.runs_to_completion, service.ready or service.probe
        return docker.Container(
            name,
            name=naming.container_name(self._args.stack, service.name, index),
            hostname=name,
            image=self._images.reference(service.image),
            entrypoints=list(service.entrypoint) if service.entrypoint else None,
            command=list(service.command) if service.command else None,
            envs=[f"{key}={value}" for key, value in sorted(service.env.items())] or None,
            user=USER,
            init=True,
            read_only=True,
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            security_opts=["no-new-privileges:true"],
            memory=service.limits.memory_mib,
            memory_swap=service.limits.memory_mib,
            cpus=str(float(service.limits.cpus)),  # "2.0", as it is read back: "2" would differ
            ulimits=[
                docker.ContainerUlimitArgs(name="nofile", soft=settings.open_files, hard=settings.open_files)
            ],
            tmpfs=_tmpfs(service) or None,
            volumes=self._volumes(service, name, files, parent) or None,
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(
                    name=self._network.name, aliases=sorted({service.name, name}), ipv4_address=address
                )
            ],
            ports=self._ports(service) or None,
            healthcheck=_healthcheck(ready) if ready else None,
            wait=ready is not None,
            wait_timeout=settings.health_wait_s,
            restart="no" if job else "unless-stopped",
            must_run=not job,
            attach=job,
            logs=job,
            stop_signal=service.stop.signal,
            stop_timeout=service.stop.grace_s,
            destroy_grace_seconds=service.stop.grace_s,
            log_driver="json-file",
            log_opts={"max-file": LOG_FILES, "max-size": f"{settings.log_max_mib}m"},
            labels=_container_labels(
                self._labels(service.name, name, CONTAINER, parent)
                | ({"ollamamax.files": files.digest} if files else {})
            ),
            opts=pulumi.ResourceOptions(
                parent=parent,
                depends_on=[*after, *([files.carrier] if files else [])],
                # The name and the fixed address are taken until the old container is gone.
                delete_before_replace=True,
                # The Docker plugin reports a change of these as done and leaves the container as it was.
                replace_on_changes=["healthcheck", "init", "tmpfs"],
            ),
        )

    def _files(self, service: Service, parent: pulumi.Resource) -> Files:
        """Return the volume that holds the service's configuration and secrets.

        Docker copies files only into a container whose root is writable, and the services' roots are not.
        So a container that is never started carries them into a volume, which the services mount read-only.
        """
        name = f"{service.name}-files"
        volume = self._volume(service, name, parent)
        carrier = docker.Container(
            name,
            name=f"ollamamax-{self._args.stack}-{name}",
            image=self._images.reference(service.image),
            start=False,
            must_run=False,
            network_mode="none",
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            uploads=_uploads(service),
            volumes=[docker.ContainerVolumeArgs(volume_name=volume.name, container_path=CONFIG_DIR)],
            labels=_container_labels(self._labels(service.name, name, CONTAINER, parent)),
            opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
        )
        read_once = {f"secret {k}": v for k, v in service.secrets.items() if k not in service.rereads}
        digest = pulumi.Output.all(**service.config, **read_once)
        # A digest tells nothing about generated secrets, and a label has to be readable.
        return Files(volume, carrier, pulumi.Output.unsecret(digest.apply(naming.digest)))

    def _volume(self, service: Service, name: str, parent: pulumi.Resource) -> docker.Volume:
        labels = self._labels(service.name, name, "docker:index/volume:Volume", parent)
        return docker.Volume(
            name,
            name=f"ollamamax-{self._args.stack}-{name}",
            labels=[docker.VolumeLabelArgs(label=label, value=value) for label, value in labels.items()],
            opts=pulumi.ResourceOptions(parent=parent),
        )

    def _volumes(
        self, service: Service, name: str, files: Files | None, parent: pulumi.Resource
    ) -> list[docker.ContainerVolumeArgs]:
        """Return the replica's data volumes, and the one with the service's files."""
        volumes = [
            docker.ContainerVolumeArgs(
                volume_name=self._volume(service, f"{name}-{volume.name}", parent).name,
                container_path=volume.path,
            )
            for volume in service.volumes
        ]
        if files:
            volumes.append(
                docker.ContainerVolumeArgs(
                    volume_name=files.volume.name, container_path=CONFIG_DIR, read_only=True
                )
            )
        return volumes

    def _ports(self, service: Service) -> list[docker.ContainerPortArgs]:
        return [
            docker.ContainerPortArgs(
                internal=port.number,
                external=port.published + self._args.port_offset,
                protocol=port.protocol,
                ip=str(self._args.settings.edge_address) if port.exposure is Exposure.PUBLIC else LOOPBACK,
            )
            for port in service.ports
            if port.published is not None
        ]

    def _labels(
        self, service: str, name: str, type_: str, parent: pulumi.Resource
    ) -> dict[str, pulumi.Input[str]]:
        """Return the labels of a resource: its service, stack and URN."""
        # As a bare value: an output of the parent would make the child depend on all its siblings.
        parent_urn: pulumi.Output[str] = pulumi.Output.from_input(_urn(parent))
        return {
            "ollamamax.service": service,
            "ollamamax.stack": self._args.stack,
            "ollamamax.urn": pulumi.create_urn(name, type_, parent_urn),
        }


async def _urn(resource: pulumi.Resource) -> str:
    return await resource.urn.future() or ""


def _expect_success(job: docker.Container, name: str) -> None:
    """Fail the update if ``job`` ended badly: the Docker plugin takes any exit for success."""

    def judge(results: list[object]) -> None:
        urn, status, logs = results
        if status not in (None, 0):
            raise pulumi.RunError(
                f"job {name} ended with status {status}: {logs}\ncorrect the cause, then run it again: "
                f"pulumi up --replace '{urn}'"
            )

    pulumi.Output.all(job.urn, job.exit_code, job.container_logs).apply(judge)


def _container_labels(labels: Mapping[str, pulumi.Input[str]]) -> list[docker.ContainerLabelArgs]:
    return [docker.ContainerLabelArgs(label=label, value=value) for label, value in sorted(labels.items())]


def _tmpfs(service: Service) -> dict[str, str]:
    """Return what lies in memory: path → options."""
    sizes = {**service.scratch, **({service.switches.path: SWITCHES_MIB} if service.switches else {})}
    return {path: f"size={mib}m,mode=1777" for path, mib in sorted(sizes.items())}


def _uploads(service: Service) -> list[docker.ContainerUploadArgs]:
    """Return the service's files, in the order of their paths."""
    return [
        docker.ContainerUploadArgs(file=f"{CONFIG_DIR}/{name}", content=content, permissions=CONFIG_MODE)
        for name, content in sorted(service.config.items())
    ] + [
        docker.ContainerUploadArgs(file=f"{SECRETS_DIR}/{name}", content=content, permissions=SECRET_MODE)
        for name, content in sorted(service.secrets.items())
    ]


def _healthcheck(probe: Probe) -> docker.ContainerHealthcheckArgs:
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", *probe.command],
        # Docker does so from API 1.44 on, and with older ones the embedded engine.
        start_interval=naming.duration(probe.interval_s),
        interval=naming.duration(HEALTH_PERIOD_S),
        timeout=naming.duration(probe.timeout_s),
        retries=probe.retries,
        start_period=naming.duration(probe.start_period_s),
    )
