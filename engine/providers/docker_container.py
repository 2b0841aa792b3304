# ruff: noqa: S104 - the plugin's default address
"""Containers, as the Terraform provider behind pulumi-docker creates and changes them."""

from __future__ import annotations

import base64
import io
import re
import tarfile
import time
from contextlib import suppress
from typing import ClassVar

import docker.errors

from engine.provider import Context, InitError, ProviderError
from engine.providers.docker import LABELS, URN_LABEL, DockerResource, failing, label_map
from engine.values import Properties

MIB = 1024 * 1024
POLL_SECONDS = 0.2
LOG_LINES = 20
DURATION = r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+"
UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
ULIMIT = {"hard": int, "name": str, "soft": int}
HEALTH = ("interval", "startInterval", "startPeriod", "timeout")


class Container(DockerResource):
    """A container."""

    inputs: ClassVar = {
        "attach": bool, "capabilities": {"adds": [str], "drops": [str]}, "command": [str],
        "containerReadRefreshTimeoutMilliseconds": int, "cpus": r"\d+(\.\d+)?", "destroyGraceSeconds": int,
        "entrypoints": [str], "envs": [str],
        "healthcheck": {**dict.fromkeys(HEALTH, DURATION), "retries": int, "tests": [str]}, "hostname": str,
        "image": str, "init": bool, "labels": LABELS, "logDriver": str, "logOpts": dict, "logs": bool,
        "memory": int, "memorySwap": int, "mustRun": bool, "name": str, "networkMode": str,
        "networksAdvanced": [{"aliases": [str], "ipv4Address": str, "name": str}],
        "ports": [{"external": int, "internal": int, "ip": str, "protocol": "tcp|udp"}],
        "readOnly": bool, "removeVolumes": bool, "restart": "no|on-failure|always|unless-stopped",
        "securityOpts": [str], "start": bool, "stopSignal": str, "stopTimeout": int, "tmpfs": dict,
        "ulimits": [ULIMIT],
        "uploads": [{"content": str, "contentBase64": str, "file": str, "permissions": "0[0-7]{3}"}],
        "user": str, "volumes": [{"containerPath": str, "readOnly": bool, "volumeName": str}], "wait": bool,
        "waitTimeout": int, "workingDir": str,
    }  # fmt: skip
    defaults: ClassVar = {
        "": {
            "containerReadRefreshTimeoutMilliseconds": 15000, "mustRun": True, "networkMode": "bridge",
            "removeVolumes": True, "restart": "no", "start": True, "waitTimeout": 60,
        },
        ".healthcheck": dict.fromkeys(HEALTH, "0s"),
        ".ports": {"ip": "0.0.0.0", "protocol": "tcp"},
    }  # fmt: skip
    implied: ClassVar = {
        **dict.fromkeys(("attach", "logs", "readOnly", "rm", "stdinOpen", "tty", "wait"), False),
        **{name: [] for name in ("command", "entrypoints", "envs", "securityOpts")}, "memoryReservation": 0,
    }  # fmt: skip
    meta = (
        '{"e2bfb730-ecaa-11e6-8f88-34363bc7c4c0":{"create":1200000000000,"delete":1200000000000,'
        '"update":1200000000000},"schema_version":"2"}'
    )
    delete_first = True
    live = frozenset({"memory", "memorySwap", "mustRun", "restart"})
    in_place = live | {
        "attach", "containerReadRefreshTimeoutMilliseconds", "destroyGraceSeconds", "logs", "removeVolumes",
        "start", "wait", "waitTimeout",
    }  # fmt: skip

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Create and start the container; whatever fails before it runs leaves nothing behind."""
        name, labels = inputs["name"], {URN_LABEL: ctx.urn, **label_map(inputs)}
        with failing(f"container {name} could not be created"):
            id_ = self.api().create_container_from_config(_config(inputs, labels), name)["Id"]
        try:
            self._set_up(id_, inputs)
        except BaseException:
            self.api().remove_container(id_, v=True, force=True)
            raise
        return id_, self._settle(ctx, id_, inputs)

    def _set_up(self, id_: str, inputs: Properties) -> None:
        """Connect it, put its files in and start it, as far as that was not done before."""
        api, files = self.api(), io.BytesIO()
        with failing(f"container {inputs['name']} could not be set up"):
            networks = inputs.get("networksAdvanced", [])
            connected = self._inspect(id_)["NetworkSettings"]["Networks"]
            if networks and inputs["networkMode"] == "bridge" and "bridge" in connected:
                api.disconnect_container_from_network(id_, "bridge")
            for one in networks:
                if one["name"] not in connected:
                    address, aliases = one.get("ipv4Address"), one.get("aliases")
                    api.connect_container_to_network(id_, one["name"], ipv4_address=address, aliases=aliases)
            with tarfile.open(fileobj=files, mode="w") as archive:
                for one in inputs.get("uploads", []):
                    data = base64.b64decode(one.get("contentBase64", "")) or one.get("content", "").encode()
                    entry = tarfile.TarInfo(one["file"].lstrip("/"))
                    entry.mode, entry.size = int(one.get("permissions", "0644"), 8), len(data)
                    entry.mtime = int(time.time())
                    archive.addfile(entry, io.BytesIO(data))
            if inputs.get("uploads"):
                api.put_archive(id_, "/", files.getvalue())
        if inputs["start"]:
            self._start(id_, inputs)

    def _start(self, id_: str, inputs: Properties) -> None:
        try:
            self.api().start(id_)
        except docker.errors.APIError as error:
            reason = f"container {inputs['name']} could not be started: {error.explanation}"
            taken = re.search(r":(\d+)(?: failed|: bind)", reason)
            if taken and ("already allocated" in reason or "already in use" in reason):
                ports = {str(one.get("external")): one["protocol"] for one in inputs.get("ports", [])}
                what = f"port {taken[1]}/{ports.get(taken[1], 'tcp')} is already in use on this machine"
                reason = f"{what}: stop what holds it, or set portOffset"
            raise ProviderError(reason) from error

    def _settle(self, ctx: Context, id_: str, inputs: Properties) -> Properties:
        """Wait until the container is healthy, or has ended; one that fails is kept for a look."""
        deadline, shown, health = time.monotonic() + inputs["waitTimeout"], "", inputs.get("healthcheck", {})
        pause = _duration(health.get("startInterval", "0s")) / 10**9
        found = self._inspect(id_)
        while (problem := _problem(inputs, found["State"], time.monotonic() > deadline)) is None:
            said = found["State"].get("Health", {}).get("Status", "running")
            if said != shown:
                ctx.log(f"container {inputs['name']} is {said}")
                shown = said
            if self.api.cancelled.wait(pause or POLL_SECONDS):
                raise ProviderError("cancelled while waiting for a container")
            found = self._inspect(id_)
            if pause and found["State"]["Running"] and self._answers(id_, health["tests"]):
                break
        outputs = self._outputs(found, inputs)
        if inputs.get("attach") and inputs.get("logs"):
            outputs["containerLogs"] = self._logs(id_, "all")
        if problem:
            last = self._logs(id_, LOG_LINES).rstrip() or "(none)"
            reason = f"container {inputs['name']} {problem}; its last log lines:\n{last}"
            raise InitError(id_, outputs, reason)
        return outputs

    def _answers(self, id_: str, test: list[str]) -> bool:
        """Whether its health check passes: daemons before API 1.44 ask no more often while it starts."""
        with suppress(ProviderError), failing(""):  # it has ended meanwhile, or the check hangs
            asked = self.api().exec_create(id_, test[1:] if test[0] == "CMD" else ["sh", "-c", *test[1:]])
            self.api().exec_start(asked)
            return bool(self.api().exec_inspect(asked)["ExitCode"] == 0)
        return False

    def _logs(self, id_: str, lines: int | str) -> str:
        return str(self.api().logs(id_, stdout=True, stderr=True, tail=lines), errors="replace")

    def _found(self, found: Properties, inputs: Properties) -> Properties:
        """Outputs; one that stopped and should run has `mustRun` false, which `update` mends."""
        host, state, networks = found["HostConfig"], found["State"], found["NetworkSettings"]["Networks"]
        running = state["Running"] or state["Restarting"]
        return {
            "exitCode": None if running else state["ExitCode"], "id": found["Id"],
            "memory": host["Memory"] // MIB, "memorySwap": max(host["MemorySwap"] // MIB, -1),
            "mustRun": inputs.get("mustRun", True) and running, "name": found["Name"].lstrip("/"),
            "networkDatas": [{"networkName": name, "gateway": one["Gateway"], "ipAddress": one["IPAddress"]}
                             for name, one in sorted(networks.items())],
            "restart": host["RestartPolicy"]["Name"],
        }  # fmt: skip

    def update(self, ctx: Context, id_: str, olds: Properties, news: Properties) -> Properties:
        """Change limits and restart policy; finish what did not become ready, start again what stopped."""
        name, memory = news["name"], news.get("memory", 0) * MIB
        with failing(f"container {name} could not be updated"):
            state = self._inspect(id_)["State"]
            restart, limit = {"Name": news["restart"]}, _swap(news) or memory * 2
            self.api().update_container(id_, mem_limit=memory, memswap_limit=limit, restart_policy=restart)
        wanted = news["start"] and (news["mustRun"] or (news.get("attach") and state["ExitCode"]))
        if state["Status"] == "created":
            self._set_up(id_, news)
        elif wanted and not (state["Running"] or state["Restarting"]):
            self._start(id_, news)
        return {**self._settle(ctx, id_, news), "memorySwap": news.get("memorySwap")}

    def _inspect(self, id_: str) -> Properties:
        return dict(self.api().inspect_container(id_))

    def _remove(self, id_: str, olds: Properties) -> None:
        """Stop the container within its grace period; its unnamed volumes go with it."""
        if not olds.get("attach"):
            self.api().stop(id_, timeout=olds.get("destroyGraceSeconds") or 0)
        self.api().remove_container(id_, v=olds.get("removeVolumes", True), force=True)


def _problem(inputs: Properties, state: Properties, late: bool) -> str | None:
    """What is wrong with a container, nothing, or None while it has to be waited for."""
    running, health = state["Running"] or state["Restarting"], state.get("Health", {}).get("Status")
    if inputs.get("attach"):
        return None if running else f"ended with exit code {state['ExitCode']}" if state["ExitCode"] else ""
    if not (inputs["start"] and inputs.get("wait")) or health == "healthy":
        return ""
    if not running:
        return f"ended with exit code {state['ExitCode']} before it was healthy"
    if not health:
        return "waits for a health check that it does not have"
    return f"was not healthy after {inputs['waitTimeout']} s" if late else None


def _config(inputs: Properties, labels: dict[str, str]) -> Properties:
    """Inputs as the daemon's API takes them."""
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in inputs.get("ports", []):
        ends = bindings.setdefault(f"{port['internal']}/{port['protocol']}", [])
        ends.append({"HostIp": port["ip"], "HostPort": str(port.get("external", 0))})
    capabilities, health = inputs.get("capabilities", {}), inputs.get("healthcheck")
    host = {
        "Binds": [f"{one['volumeName']}:{one['containerPath']}:{'ro' if one.get('readOnly') else 'rw'}"
                  for one in inputs.get("volumes", [])],
        "CapAdd": capabilities.get("adds"), "CapDrop": capabilities.get("drops"),
        "Init": inputs.get("init"), "Memory": inputs.get("memory", 0) * MIB,
        "MemorySwap": _swap(inputs), "NetworkMode": inputs["networkMode"],
        "LogConfig": {"Type": inputs.get("logDriver", ""), "Config": inputs.get("logOpts", {})},
        "NanoCpus": round(float(inputs.get("cpus", 0)) * 10**9), "PortBindings": bindings,
        "ReadonlyRootfs": inputs.get("readOnly", False), "RestartPolicy": {"Name": inputs["restart"]},
        "SecurityOpt": inputs.get("securityOpts"), "Tmpfs": inputs.get("tmpfs"),
        "Ulimits": [{name.capitalize(): one[name] for name in ULIMIT} for one in inputs.get("ulimits", [])],
    }  # fmt: skip
    config = {
        "Cmd": inputs.get("command"), "Entrypoint": inputs.get("entrypoints"), "Env": inputs.get("envs"),
        "ExposedPorts": {key: {} for key in bindings}, "HostConfig": host,
        "Hostname": inputs.get("hostname", ""), "Image": inputs["image"], "Labels": labels,
        "StopSignal": inputs.get("stopSignal"), "StopTimeout": inputs.get("stopTimeout"),
        "User": inputs.get("user", ""), "WorkingDir": inputs.get("workingDir", ""),
    }  # fmt: skip
    if health:
        config["Healthcheck"] = {key[0].upper() + key[1:]: _duration(health[key]) for key in HEALTH}
        config["Healthcheck"] |= {"Test": health.get("tests", []), "Retries": health.get("retries", 0)}
    return config


def _swap(inputs: Properties) -> int:
    """Bytes of memory and swap together: 0 is the daemon's choice, -1 no limit."""
    swap: int = inputs.get("memorySwap", 0)
    return swap * MIB if swap > 0 else swap


def _duration(text: str) -> int:
    """Nanoseconds of a duration as Go writes it, `1m30s`."""
    parts = re.findall(r"([\d.]+)(ns|us|µs|ms|s|m|h)", text)
    return round(sum(float(number) * UNITS[unit] for number, unit in parts))
