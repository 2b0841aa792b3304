"""A registry with one model, from which the workers of a stack can pull."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.e2e.conftest import REPOSITORY, docker

PADDING = 24 * 2**20  # bytes: a model of half a megabyte is there before anybody sees it come
PIECE = 2**18  # bytes
PAUSE_S = 0.02  # after each piece


@contextmanager
def registry(network: str, folder: Path) -> Iterator[str]:
    """Serve a model to the containers of a network, over plain HTTP, and yield the model's name."""
    blobs = {digest(content): content for content in (_model(folder), b'{"model_format":"gguf"}')}
    model, config = blobs
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": described(config, blobs, "application/vnd.docker.container.image.v1+json"),
        "layers": [described(model, blobs, "application/vnd.ollama.image.model")],
    }

    class Registry(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            *_, kind, name = self.path.split("/")
            if kind == "manifests":
                self.answer(200, json.dumps(manifest).encode())
            elif kind == "blobs" and self.command == "GET":
                # Ollama downloads from where a registry sends it, which must be another host.
                self.answer(307, Location=f"http://[::ffff:{host}]:{server.server_port}/content/{name}")
            else:
                begin, _, end = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
                self.answer(206, blobs[name][int(begin) : int(end) + 1 if end else None])

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for header, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(header, value)
            self.end_headers()
            for begin in range(0, len(body) if self.command == "GET" else 0, PIECE):
                self.wfile.write(body[begin : begin + PIECE])
                time.sleep(PAUSE_S)

        def log_message(self, *_: object) -> None: ...

    host = docker("network", "inspect", network, "--format", "{{(index .IPAM.Config 0).Gateway}}")
    server = ThreadingHTTPServer((host, 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{host}:{server.server_port}/library/pulled:latest"
    finally:
        server.shutdown()
        server.server_close()


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def described(name: str, blobs: dict[str, bytes], kind: str) -> dict[str, object]:
    return {"mediaType": kind, "digest": name, "size": len(blobs[name])}


def _model(folder: Path) -> bytes:
    """Return the stand-in model, with something behind its end that no reader looks at."""
    file = folder / "tiny.gguf"
    subprocess.run([sys.executable, str(REPOSITORY / "docker" / "ollama" / "tiny.py"), str(file)], check=True)
    return file.read_bytes() + os.urandom(PADDING)
