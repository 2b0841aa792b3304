# ruff: noqa: RUF012 - class attributes are constants
"""The docker package as pulumi-docker 5.2 shows it, on the Docker Engine API."""

from __future__ import annotations

import ipaddress

import pulumi_docker

from engine.provider import Context, Provider, ProviderError, token
from engine.providers.docker_api import (
    URN_LABEL,
    Connection,
    DockerResource,
    api_names,
    failing,
    label_list,
    label_map,
)
from engine.providers.docker_container import Container
from engine.providers.docker_image import Image
from engine.values import Properties

IPAM = {"subnet": "Subnet", "gateway": "Gateway", "ipRange": "IPRange", "auxAddress": "AuxiliaryAddresses"}


class Network(DockerResource):
    """A Docker network."""

    args, sdk, schema_version = pulumi_docker.NetworkArgs, pulumi_docker.Network, 1
    defaults = {"": {"ipamDriver": "default"}}
    renamed = {"ipamConfigs": "ipam_config"}
    computed = frozenset({"driver", "options", "internal", "ipamConfigs"})

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Create the network; one that an interrupted update left is taken over, or replaced."""
        api, name, labels = self.api(), inputs["name"], label_map(inputs)
        config = [
            {IPAM[key]: one[key] for key in IPAM if one.get(key)} for one in inputs.get("ipamConfigs", [])
        ]
        for old in api.networks(names=[name]):
            if old["Name"] == name and (old["Labels"] or {}).get(URN_LABEL, "") == labels.get(URN_LABEL):
                found = self.describe(self.inspect(old["Id"]), inputs, {})
                if not self.diff(ctx, found, inputs).changes:
                    return old["Id"], found
                self.delete(ctx, old["Id"], found)
        try:
            with failing(f"network {name} could not be created"):
                made = api.create_network(
                    name,
                    driver=inputs.get("driver"),
                    options=inputs.get("options"),
                    ipam={
                        "Driver": inputs["ipamDriver"],
                        "Config": config,
                        "Options": inputs.get("ipamOptions"),
                    },
                    check_duplicate=True,
                    internal=inputs.get("internal", False),
                    labels=labels,
                    enable_ipv6=inputs.get("ipv6", False),
                    attachable=inputs.get("attachable"),
                    ingress=inputs.get("ingress"),
                )
        except ProviderError as error:
            if "already exists" in str(error):
                way_out = f"`docker network rm {name}`, or choose another name"
                raise ProviderError(f"network {name} exists and is not this stack's: {way_out}") from error
            if "overlap" in str(error):
                raise ProviderError(f"network {name}: {self._overlap(config)}") from error
            raise
        return made["Id"], self.describe(self.inspect(made["Id"]), inputs, {})

    def _overlap(self, config: list[dict[str, str]]) -> str:
        wanted = [ipaddress.ip_network(one["Subnet"]) for one in config if "Subnet" in one]
        for other in self.api().networks():
            for pool in other["IPAM"]["Config"] or []:
                taken = ipaddress.ip_network(pool["Subnet"], strict=False)
                for one in wanted:
                    if one.version == taken.version and one.overlaps(taken):
                        way_out = f"choose another one, or `docker network rm {other['Name']}`"
                        return f"subnet {one} overlaps {taken} of network {other['Name']}: {way_out}"
        return f"subnet {', '.join(map(str, wanted))} overlaps another network: choose another one"

    def inspect(self, id_: str) -> Properties:
        """See the base."""
        found: Properties = self.api().inspect_network(id_)
        return found

    def remove(self, id_: str, olds: Properties) -> None:
        """See the base."""
        self.api().remove_network(id_)

    def describe(self, found: Properties, inputs: Properties, olds: Properties) -> Properties:
        """See the base."""
        nothing: Properties | None = None if inputs.get("ipamConfigs") else {}
        pools = [
            {"auxAddress": one.get("AuxiliaryAddresses", nothing)}
            | {key: one.get(IPAM[key], "") for key in ("gateway", "ipRange", "subnet")}
            for one in found["IPAM"]["Config"] or []
        ]
        names = api_names("attachable driver id ingress internal name scope", ipv6="EnableIPv6")
        ipam = {
            "ipamConfigs": pools,
            "ipamDriver": found["IPAM"]["Driver"],
            "ipamOptions": found["IPAM"]["Options"] or None,
        }
        more = {"labels": label_list(found["Labels"]), "options": found["Options"] or {}}
        return self.state({**{name: found[key] for name, key in names.items()}, **ipam, **more})


class Volume(DockerResource):
    """A named volume. Creating one that exists finds it, with what is in it."""

    args, sdk, schema_version = pulumi_docker.VolumeArgs, pulumi_docker.Volume, 1
    unsupported = frozenset({"cluster"})
    computed = frozenset({"driver"})

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Create the volume."""
        name, labels = inputs["name"], label_map(inputs) or None
        with failing(f"volume {name} could not be created"):
            found = self.api().create_volume(name, inputs.get("driver"), inputs.get("driverOpts"), labels)
        return name, self.describe(found, inputs, {})

    def inspect(self, id_: str) -> Properties:
        """See the base."""
        found: Properties = self.api().inspect_volume(id_)
        return found

    def remove(self, id_: str, olds: Properties) -> None:
        """See the base."""
        self.api().remove_volume(id_, force=True)

    def describe(self, found: Properties, inputs: Properties, olds: Properties) -> Properties:
        """See the base."""
        names = api_names("driver mountpoint name", id="Name")
        more = {
            "cluster": None,
            "driverOpts": found["Options"] or None,
            "labels": label_list(found["Labels"]),
        }
        return self.state({**{name: found[key] for name, key in names.items()}, **more})


class DockerProvider(Provider):
    """The docker package."""

    name, version, config_keys = "docker", "5.2.0", frozenset({"host"})

    def __init__(self) -> None:
        self._api = api = Connection()
        kinds = (Container(api), Image(api), Network(api), Volume(api))
        super().__init__({token("docker", type(one).__name__): one for one in kinds})
        self.cancelled = api.cancelled

    def configure(self, args: Properties) -> None:
        """Take the daemon's address."""
        self._api.host = args.get("host", "")

    def close(self) -> None:
        """Hang up on the daemon."""
        self._api.close()
