"""The stack's own Prometheus, as a process with the files that its pod has."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from rehearsal import programs
from rehearsal.controlplane import ControlPlane
from rehearsal.processes import RehearsalError
from rehearsal.stage import pods
from stacks.delivery import CANARY

PORT = 9090
READY_S = 60
ANSWER_S = 10
NAME = "prometheus"
CANARIES = f"{CANARY}-each"
JOBS = ("gateway", "autoscaler", "prometheus")
"""Those that something answers here."""


@dataclass(frozen=True)
class Sample:
    """One value of a query's answer."""

    labels: Mapping[str, str]
    value: float
    at: float
    """Unix seconds."""


@dataclass
class Prometheus:
    """A Prometheus.

    Attributes:
        plane: the cluster.
        namespace: the platform's.
        address: where it listens, on the port that its Service has.
        hosts: the ``/etc/hosts`` by which it knows that name itself.
        targets: names that it looks up, or scrapes, and where what they stand for is here.
    """

    plane: ControlPlane
    namespace: str
    address: str
    hosts: Path
    targets: Mapping[str, str]
    _files: dict[str, bytes] = field(default_factory=dict)
    _arguments: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Its files."""
        return self.plane.folder / NAME

    def follow(self) -> None:
        """Start it with what its pod has now; anew where that has changed."""
        found = pods.workload(self.plane, self.namespace, "statefulsets", NAME)
        if found is None:
            raise RehearsalError("the stack has no StatefulSet prometheus")
        files, arguments = pods.files(self.plane, found), pods.container(found).get("args", [])
        if (files, arguments) == (self._files, self._arguments):
            return
        self._files, self._arguments = files, arguments
        pods.write({**files, "prometheus.yml": self._adapted(files["prometheus.yml"])}, self.folder)
        web = files["secrets/web.yml"].decode().replace(pods.MOUNTED, str(self.folder))
        (self.folder / "secrets" / "web.yml").write_text(web)
        if self.plane.processes.runs(NAME):
            self.plane.processes.kill(NAME)
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [
            programs.prometheus(),
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--web.config.file={self.folder / 'secrets' / 'web.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self._address}",
            *self._arguments,
        ]
        self.plane.processes.start(NAME, command, hosts=self.hosts)
        self.plane.processes.wait("Prometheus did not answer", self._is_ready, READY_S)

    def query(self, promql: str, at: float | None = None) -> list[Sample]:
        """Return what an instant query answers, as of now or of a time, Unix seconds.

        Raises:
            RehearsalError: if Prometheus does not answer, or not with a vector.
        """
        try:
            when = {} if at is None else {"time": at}
            found = self._ask("/api/v1/query?" + urllib.parse.urlencode({"query": promql, **when}))
        except urllib.error.HTTPError as error:
            raise RehearsalError(f"Prometheus refused {promql}: {error.read().decode()}") from error
        except OSError as error:
            raise RehearsalError(f"Prometheus does not answer: {error}") from error
        return [
            Sample(one["metric"], float(one["value"][1]), float(one["value"][0]))
            for one in json.loads(found)["data"]["result"]
        ]

    @property
    def _address(self) -> str:
        return f"{self.address}:{PORT}"

    def _is_ready(self) -> bool:
        try:
            self._ask("/-/ready")
        except OSError:
            return False
        return True

    def _ask(self, path: str) -> bytes:
        # Its certificate names the service, by whose name this process does not know it.
        context = ssl.create_default_context(cadata=self._files["secrets/ca.pem"].decode())
        context.check_hostname = False
        password = self._files["secrets/prometheus-password"].decode()
        keys = urllib.request.HTTPPasswordMgrWithPriorAuth()
        keys.add_password(None, f"https://{self._address}", NAME, password, is_authenticated=True)
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), urllib.request.HTTPBasicAuthHandler(keys),
            urllib.request.ProxyHandler({}),
        )  # fmt: skip
        with opener.open(f"https://{self._address}{path}", timeout=ANSWER_S) as answer:
            return bytes(answer.read())

    def _adapted(self, content: bytes) -> bytes:
        """Return its configuration with the paths and addresses that things have here."""
        document = yaml.safe_load(content.decode().replace(pods.MOUNTED, str(self.folder)))
        here = {f"127.0.0.1:{PORT}": self._address}
        document.pop("alerting", None)
        document["scrape_configs"] = [one for one in document["scrape_configs"] if one["job_name"] in JOBS]
        for job in document["scrape_configs"]:
            groups = job.setdefault("static_configs", [])
            for group in groups:
                group["targets"] = [here.get(one) or self._here(one) for one in group["targets"]]
            for lookup in job.pop("dns_sd_configs", []):
                # Without a release there is nobody behind the name of its gateways, here as elsewhere.
                found = [self._here(name) for name in lookup["names"] if name != CANARIES]
                groups.append({"targets": found})
        return yaml.safe_dump(document).encode()

    def _here(self, target: str) -> str:
        """Return where a target is, which is given by its name, with or without a port."""
        name, _, _ = target.partition(":")
        if name not in self.targets:
            known = ", ".join(sorted(self.targets))
            raise RehearsalError(f"Prometheus scrapes {target}, for which nothing stands here: only {known}")
        return self.targets[name]
