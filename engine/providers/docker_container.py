# ruff: noqa: RUF012, S104 - class attributes are constants; the plugin's default address
"""Containers, as the Terraform provider behind pulumi-docker creates, reads and changes them."""

from __future__ import annotations

import base64
import io
import re
import tarfile
import time
from pathlib import Path, PurePosixPath
from typing import Any

import docker.errors
import pulumi_docker

from engine.provider import Context, InitError, ProviderError
from engine.providers.docker_api import URN_LABEL, DockerResource, api_names, failing, label_map, words
from engine.providers.schema import Field
from engine.values import Properties

MIB = 1024 * 1024
POLL_SECONDS = 0.2
LOG_LINES = 20
UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
MINUTES_20 = dict.fromkeys(("create", "delete", "update"), 1_200_000_000_000)
DEFAULTS = {
    "attach": False,
    "containerReadRefreshTimeoutMilliseconds": 15000,
    "logs": False,
    "mustRun": True,
    "removeVolumes": True,
    "start": True,
    "wait": False,
    "waitTimeout": 60,
}


CONFIGURED = (
    "cgroupParent",
    "cgroupnsMode",
    "cpuPeriod",
    "cpuQuota",
    "destroyGraceSeconds",
    "gpus",
    "pidMode",
)
"""Inputs that the plugin never reads back."""
HOST = api_names(
    "cgroupParent cgroupnsMode cpuPeriod cpuQuota cpuShares dns init ipcMode networkMode pidMode privileged "
    "publishAllPorts runtime sysctls tmpfs usernsMode",
    cpuSet="CpusetCpus", dnsOpts="DnsOptions", dnsSearches="DnsSearch", groupAdds="GroupAdd",
    readOnly="ReadonlyRootfs", rm="AutoRemove", securityOpts="SecurityOpt", storageOpts="StorageOpt",
)  # fmt: skip
HOST_MIB = api_names("memory memoryReservation memorySwap shmSize")
CONFIG = api_names(
    "domainname hostname image stopSignal stopTimeout tty user workingDir",
    command="Cmd",
    entrypoints="Entrypoint",
    stdinOpen="OpenStdin",
)
TMPFS, ULIMIT, MOUNT = (
    api_names("sizeBytes mode"),
    api_names("name soft hard"),
    api_names("source target type"),
)
HEALTH = api_names("interval startInterval startPeriod timeout")
NETWORK = api_names(
    "gateway macAddress",
    globalIpv6Address="GlobalIPv6Address",
    globalIpv6PrefixLength="GlobalIPv6PrefixLen",
    ipAddress="IPAddress",
    ipPrefixLength="IPPrefixLen",
    ipv6Gateway="IPv6Gateway",
)
UNRECORDED = frozenset({"deviceCgroupRules", "group", "owner"})
"""Properties of the SDK that the plugin's recorded states do not have."""
DURATION = r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+"


class Container(DockerResource):
    """A container.

    Where the plugin would record a changed health check, tmpfs or init process without applying it, this
    one replaces the container.
    """

    args, sdk, schema_version = pulumi_docker.ContainerArgs, pulumi_docker.Container, 2
    meta = {"e2bfb730-ecaa-11e6-8f88-34363bc7c4c0": MINUTES_20}
    delete_first = True
    defaults = {
        "": {key: value for key, value in DEFAULTS.items() if value}
        | {"networkMode": "bridge", "restart": "no"},
        "healthcheck": dict.fromkeys(HEALTH, "0s"),
        "ports": {"ip": "0.0.0.0", "protocol": "tcp"},
    }
    unsupported = words(
        "deviceCgroupRules deviceReadBps deviceReadIops deviceRequests deviceWriteBps deviceWriteIops",
        "devices mounts.bindOptions mounts.volumeOptions networksAdvanced.driverOpts",
        "networksAdvanced.gwPriority uploads.group uploads.owner",
    )
    patterns = {
        **{f"healthcheck.{name}": DURATION for name in HEALTH},
        "cpus": r"\d+(\.\d+)?",
        "gpus": "all",
        "mounts.type": "bind|volume|tmpfs",
        "restart": "no|on-failure|always|unless-stopped",
        "uploads.permissions": "0[0-7]{3}",
    }
    renamed = {
        "adds": "add", "dnsSearches": "dns_search", "drops": "drop", "entrypoints": "entrypoint",
        "envs": "env", "groupAdds": "group_add", "hosts": "host", "networkDatas": "network_data",
        "tests": "test", "ulimits": "ulimit", "uploads": "upload",
    }  # fmt: skip
    computed = words(
        "command entrypoints envs healthcheck hostname init ipcMode labels logDriver platform runtime",
        "securityOpts shmSize stopSignal stopTimeout user workingDir",
    )
    in_place = words(
        "cpuPeriod cpuQuota cpuSet cpuShares destroyGraceSeconds maxRetryCount memory memoryReservation",
        "memorySwap restart rm",
        *DEFAULTS,
    )
    ordered = frozenset({"command", "entrypoints", "ports", "healthcheck"})

    def delta_fields(self) -> dict[str, Field]:
        """Inputs, and the list of networks."""
        return {**self.fields, "networkDatas": Field(list, item=Field(dict, fields={"gateway": Field(str)}))}

    def comparable(self, values: Properties) -> Properties:
        """Compare durations and CPUs by value, capabilities and ports however Docker spells them."""
        same = dict(values)
        if health := values.get("healthcheck"):
            same["healthcheck"] = {k: _duration(v) if k in HEALTH else v for k, v in health.items()}
        if values.get("cpus"):
            same["cpus"] = f"{float(values['cpus']):g}"
        if capabilities := values.get("capabilities"):
            same["capabilities"] = {
                key: [_capability(one) for one in capabilities.get(key) or []] for key in ("adds", "drops")
            }
        if ports := values.get("ports"):
            same["ports"] = sorted(
                ({k: v for k, v in port.items() if k != "__defaults"} for port in ports),
                key=lambda port: (port["internal"], port["protocol"], port.get("ip", "")),
            )
        return same

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Create and start the container; whatever fails before it runs leaves nothing behind."""
        api, name = self.api(), inputs["name"]
        labels = {URN_LABEL: ctx.urn, **label_map(inputs)}
        self._find_image(inputs["image"], ctx)
        try:
            old = api.inspect_container(name)
        except docker.errors.NotFound:
            old = None
        if old and (old["Config"]["Labels"] or {}).get(URN_LABEL) == labels[URN_LABEL]:
            ctx.log(f"removing container {name}, left by an interrupted update")
            api.remove_container(old["Id"], v=True, force=True)
        elif old:
            way_out = f"`docker rm -f {name}`, or choose another name"
            raise ProviderError(f"container {name} exists and is not this stack's: {way_out}")
        with failing(f"container {name} could not be created"):
            id_ = api.create_container_from_config(_config(inputs, labels), name)["Id"]
        try:
            with failing(f"container {name} could not be set up"):
                self._connect(id_, inputs)
                self._upload(id_, inputs)
            if inputs["start"]:
                self._start(id_, inputs)
        except BaseException:
            api.remove_container(id_, v=True, force=True)
            raise
        return id_, self._settle(ctx, id_, inputs, {})

    def _find_image(self, image: str, ctx: Context) -> None:
        try:
            self.api().inspect_image(image)
        except docker.errors.NotFound:
            ctx.log(f"pulling {image}")
            with failing(f"image {image} is not on this machine and could not be pulled"):
                self.api().pull(image)

    def _connect(self, id_: str, inputs: Properties) -> None:
        networks = inputs.get("networksAdvanced", [])
        if networks and inputs["networkMode"] == "bridge":
            self.api().disconnect_container_from_network(id_, "bridge")
        for one in networks:
            self.api().connect_container_to_network(
                id_,
                one["name"],
                aliases=one.get("aliases"),
                ipv4_address=one.get("ipv4Address"),
                ipv6_address=one.get("ipv6Address"),
                link_local_ips=one.get("linkLocalIps"),
                mac_address=one.get("macAddress"),
            )

    def _upload(self, id_: str, inputs: Properties) -> None:
        """Put files in; where the root is read-only, Docker takes them at a mounted volume alone."""
        mounted = [one["containerPath"] for one in inputs.get("volumes", []) if not one.get("readOnly")]
        for one in inputs.get("uploads", []):
            path = PurePosixPath(one["file"])
            homes = [PurePosixPath(home) for home in mounted if path.is_relative_to(home)]
            home = max(homes, key=lambda found: len(found.parts), default=PurePosixPath("/"))
            content = one.get("content", "").encode()
            if one.get("contentBase64"):
                content = base64.b64decode(one["contentBase64"])
            elif one.get("source"):
                content = Path(one["source"]).read_bytes()
            entry = tarfile.TarInfo(str(path.relative_to(home)))
            entry.mode = int(one.get("permissions") or ("0744" if one.get("executable") else "0644"), 8)
            entry.size, entry.mtime = len(content), int(time.time())
            archive = io.BytesIO()
            with tarfile.open(fileobj=archive, mode="w") as tar:
                tar.addfile(entry, io.BytesIO(content))
            self.api().put_archive(id_, str(home), archive.getvalue())

    def _start(self, id_: str, inputs: Properties) -> None:
        try:
            self.api().start(id_)
        except docker.errors.APIError as error:
            reason = str(error.explanation)
            taken = re.search(r":(\d+)(?: failed|: bind)", reason)
            if taken and ("already allocated" in reason or "already in use" in reason):
                port: Properties = next(
                    (p for p in inputs["ports"] if p.get("external") == int(taken[1])), {}
                )
                what = f"port {taken[1]}/{port.get('protocol', 'tcp')} is already in use on this machine"
                raise ProviderError(f"{what}: stop what holds it, or set portOffset") from error
            raise ProviderError(f"container {inputs['name']} could not be started: {reason}") from error

    def _settle(self, ctx: Context, id_: str, inputs: Properties, olds: Properties) -> Properties:
        """Wait until the container is healthy, or has ended; one that fails is kept for a look."""
        found, problem, logs = self.inspect(id_), "", olds.get("containerLogs")
        deadline, shown = time.monotonic() + inputs["waitTimeout"], ""
        while inputs["start"] and inputs.get("wait") and not problem:
            state = found["State"]
            health = state.get("Health", {}).get("Status") or "without a health check"
            if health == "healthy" or not state.get("Health"):
                problem = "" if health == "healthy" else "waits for a health check that it does not have"
                break
            if time.monotonic() > deadline:
                problem = f"was not healthy after {inputs['waitTimeout']} s"
            elif not (state["Running"] or state["Restarting"]):
                problem = f"ended with exit code {state['ExitCode']} before it was healthy"
            if health != shown:
                ctx.log(f"container {inputs['name']} is {health}")
                shown = health
            found = self._look_again(id_)
        while inputs.get("attach") and found["State"]["Running"] and not problem:
            found = self._look_again(id_)
        if inputs.get("attach") and not problem:
            logs = self._logs(id_, "all") if inputs.get("logs") else logs
            if found["State"]["ExitCode"]:
                problem = f"ended with exit code {found['State']['ExitCode']}"
        outputs = self.describe(found, inputs, {"containerLogs": logs})
        if problem:
            last = self._logs(id_, LOG_LINES).rstrip() or "(none)"
            raise InitError(
                id_, outputs, f"container {inputs['name']} {problem}; its last log lines:\n{last}"
            )
        return outputs

    def _look_again(self, id_: str) -> Properties:
        if self.api.cancelled.wait(POLL_SECONDS):
            raise ProviderError("cancelled while waiting for a container")
        return self.inspect(id_)

    def _logs(self, id_: str, lines: Any) -> str:
        text: bytes = self.api().logs(id_, stdout=True, stderr=True, tail=lines)
        return text.decode(errors="replace")

    def describe(self, found: Properties, inputs: Properties, olds: Properties) -> Properties:
        """See the base. One that stopped and should run has `mustRun` false, which `update` mends."""
        host, config, state = found["HostConfig"], found["Config"], found["State"]
        values: Properties = dict.fromkeys(self.outputs - UNRECORDED)
        values |= {name: [] for name, one in self.fields.items() if one.item and one.item.fields}
        values |= {name: inputs.get(name) for name in CONFIGURED}
        values |= {name: inputs.get(name, value) for name, value in DEFAULTS.items()}
        values |= {
            name: host.get(key) or inputs.get(name) for name, key in HOST.items() if name not in CONFIGURED
        }
        values |= {name: config.get(key) for name, key in CONFIG.items()}
        values |= {name: max(host[key] // MIB, -1) for name, key in HOST_MIB.items()}
        for name in ("volumes", "networksAdvanced", "uploads", "labels", "ulimits", "hosts", "mounts"):
            values[name] = [_filled(self.fields[name].item, item) for item in inputs.get(name, [])]
        for name in ("envs", "securityOpts", "dns", "dnsOpts", "dnsSearches", "groupAdds"):
            values[name] = sorted(values[name] or inputs.get(name) or []) or None
        for name in ("init", "privileged", "publishAllPorts", "readOnly", "rm", "stdinOpen", "tty"):
            values[name] = bool(values[name])
        running, ports = state["Running"] or state["Restarting"], []
        bindings = (found["NetworkSettings"]["Ports"] or {}) if "ports" in inputs else {}
        for key, ends in sorted(bindings.items(), key=lambda pair: int(pair[0].split("/")[0])):
            internal, protocol = key.split("/")
            for one in ends or []:
                port = {"external": int(one["HostPort"]), "internal": int(internal), "ip": one["HostIp"]}
                ports.append({**port, "protocol": protocol})
        if health := config.get("Healthcheck"):
            times = {key: _go_duration(health.get(name, 0)) for key, name in HEALTH.items()}
            values["healthcheck"] = {
                **times,
                "retries": health.get("Retries", 0),
                "tests": health.get("Test") or [],
            }
        ends = found["NetworkSettings"]["Networks"]
        values |= {
            "bridge": found["NetworkSettings"].get("Bridge", ""), "capabilities": _capabilities(inputs, host),
            "command": config["Cmd"] or [], "containerLogs": olds.get("containerLogs"),
            "cpuSet": host["CpusetCpus"], "cpuShares": host["CpuShares"], "cpus": _cpus(host["NanoCpus"]),
            "entrypoints": config["Entrypoint"] or [], "envs": sorted(inputs.get("envs", [])),
            "exitCode": None if running else state["ExitCode"], "id": found["Id"],
            "logDriver": host["LogConfig"]["Type"],
            "logOpts": host["LogConfig"]["Config"] if inputs.get("logOpts") else None,
            "maxRetryCount": host["RestartPolicy"]["MaximumRetryCount"],
            "mustRun": inputs.get("mustRun", True) and running, "name": found["Name"].lstrip("/"),
            "networkDatas": [
                {"networkName": name, **{key: ends[name][source] for key, source in NETWORK.items()}}
                for name in sorted(ends)
            ],
            "platform": found["Platform"],
            "ports": ports if running or inputs.get("mustRun") else _ports(inputs),
            "restart": host["RestartPolicy"]["Name"], "securityOpts": host["SecurityOpt"] or [],
            "stopSignal": config.get("StopSignal") or "", "stopTimeout": config.get("StopTimeout") or 0,
            "usernsMode": host["UsernsMode"],
        }  # fmt: skip
        return self.state(values)

    def update(self, ctx: Context, id_: str, olds: Properties, news: Properties) -> Properties:
        """Change limits and restart policy; start again what stopped or did not become ready."""
        name, memory, swap = news["name"], news.get("memory", 0) * MIB, news.get("memorySwap")
        with failing(f"container {name} could not be updated"):
            found = self.inspect(id_)
            self.api().update_container(
                id_,
                cpu_shares=news.get("cpuShares"),
                cpuset_cpus=news.get("cpuSet"),
                mem_limit=memory,
                mem_reservation=news.get("memoryReservation", 0) * MIB,
                memswap_limit=swap * MIB if swap and swap > 0 else swap or memory * 2,
                restart_policy={"Name": news["restart"], "MaximumRetryCount": news.get("maxRetryCount", 0)},
            )
        state = found["State"]
        wanted = news["start"] and (news["mustRun"] or (news.get("attach") and state["ExitCode"]))
        if wanted and not (state["Running"] or state["Restarting"]):
            self._start(id_, news)
        return {**self._settle(ctx, id_, news, olds), "memorySwap": swap}

    def inspect(self, id_: str) -> Properties:
        """See the base."""
        found: Properties = self.api().inspect_container(id_)
        return found

    def remove(self, id_: str, olds: Properties) -> None:
        """Stop the container within its grace period; its unnamed volumes go with it."""
        if not olds.get("attach"):
            self.api().stop(id_, timeout=olds.get("destroyGraceSeconds") or 0)
        self.api().remove_container(id_, v=olds.get("removeVolumes", True), force=True)


def _config(inputs: Properties, labels: dict[str, str]) -> Properties:
    """Inputs as the daemon's API takes them."""
    host: Properties = {key: inputs[name] for name, key in HOST.items() if name in inputs}
    given = {key: inputs[name] for name, key in HOST_MIB.items() if name in inputs}
    host |= {key: value * MIB if value > 0 else value for key, value in given.items()}
    config: Properties = {key: inputs[name] for name, key in CONFIG.items() if name in inputs}
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in inputs.get("ports", []):
        ends = bindings.setdefault(f"{port['internal']}/{port['protocol']}", [])
        ends.append({"HostIp": port["ip"], "HostPort": str(port.get("external", 0))})
    mounts, binds, volumes = [], [], inputs.get("volumes", [])
    for one in volumes:
        if source := one.get("hostPath") or one.get("volumeName"):
            flags = ["ro" if one.get("readOnly") else "rw", one.get("selinuxRelabel")]
            binds.append(f"{source}:{one['containerPath']}:{','.join(filter(None, flags))}")
    for one in inputs.get("mounts", []):
        plain = {key: one.get(name, "") for name, key in MOUNT.items()}
        memory = {key: one.get("tmpfsOptions", {}).get(name, 0) for name, key in TMPFS.items()}
        options = {"TmpfsOptions": memory} if one["type"] == "tmpfs" else {}
        mounts.append({**plain, "ReadOnly": one.get("readOnly", False), **options})
    capabilities, health = inputs.get("capabilities", {}), inputs.get("healthcheck")
    host |= {
        "Binds": binds,
        "CapAdd": [_capability(one) for one in capabilities.get("adds", [])],
        "CapDrop": [_capability(one) for one in capabilities.get("drops", [])],
        "DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}] if inputs.get("gpus") else [],
        "ExtraHosts": [f"{one['host']}:{one['ip']}" for one in inputs.get("hosts", [])],
        "Init": inputs.get("init", False),
        "LogConfig": {"Type": inputs.get("logDriver", ""), "Config": inputs.get("logOpts", {})},
        "Mounts": mounts,
        "NanoCpus": round(float(inputs.get("cpus", 0)) * 10**9),
        "PortBindings": bindings,
        "RestartPolicy": {"Name": inputs["restart"], "MaximumRetryCount": inputs.get("maxRetryCount", 0)},
        "Ulimits": [{key: one[name] for name, key in ULIMIT.items()} for one in inputs.get("ulimits", [])],
        "VolumesFrom": [one["fromContainer"] for one in volumes if one.get("fromContainer")],
    }
    config |= {
        "Env": inputs.get("envs", []),
        "ExposedPorts": {key: {} for key in bindings},
        "HostConfig": host,
        "Labels": labels,
        "Volumes": {
            one["containerPath"]: {} for one in inputs.get("volumes", []) if one.get("containerPath")
        },
    }
    if health:
        config["Healthcheck"] = {name: _duration(health[key]) for key, name in HEALTH.items()}
        config["Healthcheck"] |= {"Test": health.get("tests", []), "Retries": health.get("retries", 0)}
    return config


def _filled(one: Field | None, value: Any) -> Any:
    """A nested element as the state has it: with a value for everything that was not given."""
    if isinstance(value, list):
        return sorted(value) if all(isinstance(item, str) for item in value) else value
    if not one or not one.fields:
        return value
    return {
        name: _filled(field, value[name]) if name in value else False if name == "executable" else field.empty
        for name, field in one.fields.items()
        if name not in UNRECORDED
    }


def _ports(inputs: Properties) -> list[Properties]:
    return [{k: v for k, v in port.items() if k != "__defaults"} for port in inputs.get("ports", [])]


def _capability(name: str) -> str:
    upper = name.upper()
    return upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"


def _capabilities(inputs: Properties, host: Properties) -> Properties | None:
    """Capabilities as Docker has them, in the program's spelling where that means the same."""
    found = {}
    for name, key in (("adds", "CapAdd"), ("drops", "CapDrop")):
        given = (inputs.get("capabilities") or {}).get(name) or []
        same = sorted(map(_capability, given)) == sorted(map(_capability, host[key] or []))
        found[name] = sorted(given) if same else host[key]
    return found if any(found.values()) else None


def _duration(text: str) -> int:
    """Nanoseconds of a duration as Go writes it, `1m30s`."""
    return round(
        sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ns|us|µs|ms|s|m|h)", text))
    )


def _go_duration(nanoseconds: int) -> str:
    """A duration as Go's `Duration.String` writes it."""
    if 0 < nanoseconds < UNITS["s"]:
        unit = next(one for one in ("ms", "µs", "ns") if nanoseconds >= UNITS[one])
        return f"{nanoseconds / UNITS[unit]:.9g}{unit}"
    minutes, rest = divmod(nanoseconds, UNITS["m"])
    seconds = f"{rest / UNITS['s']:.9g}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}" if hours else f"{minutes}m{seconds}" if minutes else seconds


def _cpus(nano: int) -> str | None:
    """CPUs as the plugin writes them: `0.5`, `2.0`."""
    if not nano:
        return None
    text = f"{nano / 10**9:.9f}"
    return f"{nano / 10**9:.1f}" if text.count("0") == 9 else text.rstrip("0")
