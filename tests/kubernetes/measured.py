"""What a stack's Prometheus would measure of a release: **simulated**, as pods here only pretend to run.

Requests come at a fixed rate. How many of them go to the release is read from the cluster at each look: from
the ConfigMap of the edges, and where the name leads to that they ask. So only what commands wrote counts.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from rehearsal.controlplane import ControlPlane
from stacks.delivery import CANARY, SHARES, TRIAL
from tests.kubernetes.stack import get

RATE = 2000
"""Requests a second."""
QUICK = "0.001"
"""The bucket of all their times, seconds."""
SIDES = {"gateway": {"instance": "a:9090"}, CANARY: {"instance": "b:9090", "release": "canary"}}


@dataclass
class Measured:
    """Counters of both sides, which go on while they are looked at."""

    plane: ControlPlane
    namespace: str
    fails: float = 0.0
    """Part of the requests that the release fails."""
    shares: list[int] = field(default_factory=list)
    """Shares that it was seen to have, each once in a row, percent."""
    answered: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SIDES, 0.0))
    failed: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SIDES, 0.0))
    at: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """Let the requests come that came since the last look."""
        share, now = self._share(), time.monotonic()
        requests, self.at = RATE * (now - self.at), now
        if self.shares[-1:] != [share]:
            self.shares.append(share)
        self.answered["gateway"] += requests * (100 - share) / 100
        self.answered[CANARY] += requests * share / 100 * (1 - self.fails)
        self.failed[CANARY] += requests * share / 100 * self.fails

    def answer(self, query: str) -> list[dict[str, Any]]:
        """Return what a query gets; both sides are there while the release has pods."""
        sides = [CANARY, "gateway"] if self._tried() else ["gateway"]
        if "in_flight" in query:
            return [_sample({}, 0)]
        if "_bucket" in query:
            found = {side: self.answered[side] + self.failed[side] for side in sides}
            return [_sample(SIDES[one] | {"le": le}, found[one]) for one in sides for le in (QUICK, "+Inf")]
        if "requests_total" in query:
            return [_sample(SIDES[one] | {"code": "200"}, self.answered[one]) for one in sides] + [
                _sample(SIDES[one] | {"code": "502"}, self.failed[one]) for one in sides
            ]
        return [_sample(SIDES[one], 64 << 20 if "memory" in query else 1) for one in sides]

    def _share(self) -> int:
        home = f"/api/v1/namespaces/{self.namespace}"
        told = get(self.plane, f"{home}/configmaps/{SHARES}") or {"data": {}}
        leads = get(self.plane, f"{home}/services/{TRIAL}")["spec"]["selector"]["app.kubernetes.io/name"]
        most = max((int(one) for one in told["data"] if one.isdecimal()), default=0)
        return most if leads == CANARY else 0

    def _tried(self) -> bool:
        found = get(self.plane, f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{CANARY}")
        return bool(found and found.get("status", {}).get("readyReplicas"))


def _sample(labels: dict[str, str], value: float) -> dict[str, Any]:
    return {"metric": labels, "value": [0, str(round(value))]}


@contextmanager
def served(measured: Measured, folder: Path) -> Iterator[int]:
    """Serve it as the stack's Prometheus does, with the certificate and the password that its pod has."""
    secrets = get(measured.plane, f"/api/v1/namespaces/{measured.namespace}/secrets")["items"]
    (own,) = [one["data"] for one in secrets if one["metadata"]["name"].startswith("prometheus-")]
    for name in ("tls.crt", "tls.key"):
        (folder / name).write_bytes(base64.b64decode(own[name]))
    account = base64.b64encode(b"prometheus:" + base64.b64decode(own["prometheus-password"])).decode()

    class Prometheus(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == f"Basic {account}"
            measured.look()
            result = measured.answer(parse_qs(urlsplit(self.path).query)["query"][0])
            text = json.dumps({"data": {"result": result}}).encode()
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Prometheus)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()
