"""A checkout whose engines only record what they are asked, a GitHub here, and certificates for loopback."""

import http.server
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops import github
from ops.stack import Stack
from tests.identity import certify

RECORDER = f"""\
#!{sys.executable}
import json, os, pathlib, sys

words = sys.argv[1:]
with open(os.environ["RECORD"], "a") as record:
    kept = {{name: value for name, value in os.environ.items() if name.startswith(("PATH", "PULUMI_"))}}
    read = sys.stdin.read() if "set" in words else ""
    record.write(json.dumps({{"words": words, "env": kept, "cwd": os.getcwd(), "read": read}}) + "\\n")
if "init" in words:
    folder = pathlib.Path(words[words.index("--cwd") + 1])
    assert (folder / "Pulumi.yaml").exists()
    (folder / "stacks").mkdir(exist_ok=True)
    (folder / "stacks/Pulumi.some.yaml").write_text("encryptionsalt: v1:from-the-cli\\n")
if "set" in words:
    with open(words[words.index("--config-file") + 1], "a") as file:
        secret = '{{mail: {{password: {{secure: "v1:of-the-cli"}}}}}}'
        file.write(f"encryptedkey: of the cli\\nconfig: {{{{ollamamax:alerts: {{secret}}}}}}\\n")
print(os.environ.get("ANSWER", ""))
sys.exit(int(os.environ.get("STATUS", "0")))
"""
SETTINGS = "config:\n  ollamamax:target: docker\n"


@dataclass
class Checkout:
    """A checkout with one stack, ``some``, and engines that only record."""

    root: Path
    record: Path

    @property
    def stack(self) -> Stack:
        return Stack("some", self.root)

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.record.read_text().splitlines()]

    @property
    def words(self) -> list[str]:
        """What the engine was asked last."""
        return list(self.calls[-1]["words"])


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """Return a checkout on a machine without the Pulumi CLI."""
    root = tmp_path / "checkout"
    (root / "stacks").mkdir(parents=True)
    (root / "stacks" / "Pulumi.some.yaml").write_text(SETTINGS)
    (root / "stacks" / "Pulumi.other.yaml").write_text(SETTINGS)
    (root / "Pulumi.yaml").write_text("name: ollamamax\n")
    (root / "engine").mkdir()
    (root / "engine" / "__main__.py").write_text(RECORDER)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("RECORD", str(tmp_path / "record"))
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    return Checkout(root, tmp_path / "record")


@pytest.fixture
def with_cli(embedded: Checkout) -> Checkout:
    """Return a checkout on a machine with the Pulumi CLI."""
    cli = embedded.root.parent / "bin" / "pulumi"
    cli.write_text(RECORDER)
    cli.chmod(0o755)
    return embedded


@dataclass(frozen=True)
class Identity:
    """Files of a server's certificate and key, and of the authority that vouches for it."""

    authority: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """Return an identity for localhost."""
    return make_identity(tmp_path_factory.mktemp("identity"))


def make_identity(folder: Path) -> Identity:
    """Write an authority and a certificate for localhost into ``folder``."""
    found = certify("localhost")
    made = Identity(folder / "ca.pem", folder / "tls.crt", folder / "tls.key")
    made.authority.write_text(found.authority)
    made.certificate.write_text(found.certificate)
    made.key.write_text(found.key)
    return made


class Repository:
    """A repository's comments, and the server that has them."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.token = ""
        self.status = 200

    def add(self, body: str, kind: str) -> dict[str, Any]:
        number = len(self.comments) + 1
        comment = {
            "id": number,
            "body": body,
            "user": {"type": kind},
            "html_url": f"https://somewhere/{number}",
        }
        self.comments.append(comment)
        return comment

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Any:
        self.asked.append((method, path))
        if self.status != 200:
            return {"message": "Resource not accessible by integration"}
        if method == "POST":
            return self.add(body["body"], "Bot")
        if method == "PATCH":
            found = self.comments[int(path.rpartition("/")[2]) - 1]
            found.update(body)
            return found
        page = int(path.rpartition("page=")[2])
        return self.comments[(page - 1) * github.PAGE : page * github.PAGE]


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """Return a repository without comments, and let the environment name it."""
    found = Repository()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            found.token = self.headers["Authorization"]
            told = found.answer(self.command, self.path, json.loads(self.rfile.read(size) or b"{}"))
            self.send_response(found.status)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("GITHUB_REPOSITORY", "example/ollamamax")
        monkeypatch.setenv("GITHUB_TOKEN", "of the job")
        yield found
        server.shutdown()
