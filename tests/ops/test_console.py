"""The console's files in a bucket, over HTTP as S3 speaks it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import botocore.session
import pytest
from botocore.config import Config

from ops import __main__ as commands
from ops import console, smoke
from ops.delivery import cli as delivery
from ops.smoke import Result
from ops.stack import StackError

BUCKET = "files"


class S3(BaseHTTPRequestHandler):
    """What of S3 is needed: objects are put, got, listed and deleted."""

    objects: ClassVar[dict[str, tuple[bytes, str]]] = {}
    put: ClassVar[list[str]] = []
    closed: ClassVar[bool] = False

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.objects[self.key] = (body, self.headers["Content-Type"])
        self.put.append(self.key)
        self.answer(200)

    def do_GET(self) -> None:
        if self.closed:
            self.answer(403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
        elif "list-type" in self.query:
            keys = [key for key in sorted(self.objects) if key.startswith(self.query["prefix"][0])]
            listed = "".join(f"<Contents><Key>{escape(key)}</Key></Contents>" for key in keys)
            self.answer(200, f"<ListBucketResult>{listed}</ListBucketResult>".encode())
        elif self.key in self.objects:
            self.answer(200, self.objects[self.key][0])
        else:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def do_DELETE(self) -> None:
        del self.objects[self.key]
        self.answer(204)

    @property
    def key(self) -> str:
        return urlsplit(self.path).path.removeprefix(f"/{BUCKET}/")

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query)

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client of an empty bucket."""
    S3.objects.clear()
    S3.put.clear()
    monkeypatch.setattr(S3, "closed", False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), S3)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    session = botocore.session.get_session()
    session.set_credentials("id", "secret")
    yield session.create_client(
        "s3",
        region_name="eu-central-1",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    server.shutdown()
    server.server_close()


def release(number: int) -> dict[str, bytes]:
    return {
        "sw.js": b"worker %d" % number,
        "index.html": b"page %d" % number,
        "icon.svg": b"<svg/>",
        f"assets/index-{number}.js": b"program %d" % number,
        f"assets/index-{number}.css": b"style %d" % number,
    }


def assets() -> set[str]:
    return {key for key in S3.objects if key.startswith("assets/")}


def test_what_names_other_files_comes_after_them(client: Any) -> None:
    console.publish(release(1), BUCKET, client)
    assert [*S3.put] == [
        "assets/index-1.css", "assets/index-1.js", "icon.svg", "index.html", "sw.js", "releases.json",
    ]  # fmt: skip


def test_browsers_are_told_what_each_file_is(client: Any) -> None:
    console.publish(release(1), BUCKET, client)
    kinds = {key: kind for key, (_, kind) in S3.objects.items()}
    assert kinds["index.html"] == "text/html"
    assert kinds["sw.js"] == kinds["assets/index-1.js"] == "text/javascript"
    assert kinds["assets/index-1.css"] == "text/css"


def test_the_assets_of_the_release_before_stay_and_older_ones_go(client: Any) -> None:
    for number in (1, 2):
        console.publish(release(number), BUCKET, client)
    assert assets() == {*release(1), *release(2)} - {"sw.js", "index.html", "icon.svg"}
    said = console.publish(release(3), BUCKET, client)
    assert assets() == {*release(2), *release(3)} - {"sw.js", "index.html", "icon.svg"}
    assert S3.objects["index.html"][0] == b"page 3"
    assert said == f"5 files of the console put into {BUCKET}, 2 of older releases removed"


def test_the_release_before_comes_back_and_the_one_that_it_takes_the_place_of_stays(client: Any) -> None:
    for number in (1, 2, 1):
        console.publish(release(number), BUCKET, client)
    assert S3.objects["index.html"][0] == b"page 1"
    assert assets() == {*release(1), *release(2)} - {"sw.js", "index.html", "icon.svg"}
    releases = json.loads(S3.objects["releases.json"][0])
    assert [one["assets"][1] for one in releases] == ["assets/index-1.js", "assets/index-2.js"]


def test_a_release_that_is_there_is_not_put_again(client: Any) -> None:
    console.publish(release(1), BUCKET, client)
    S3.put.clear()
    assert console.publish(release(1), BUCKET, client) == f"the console's files are in {BUCKET}"
    assert S3.put == []


def test_a_refusal_says_what_was_refused_and_that_the_platform_is_up(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(S3, "closed", True)
    with pytest.raises(StackError, match=f"bucket {BUCKET}: .*AccessDenied.*the platform itself is up"):
        console.publish(release(1), BUCKET, client)


def test_up_puts_them_there_once_the_platform_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    outputs = {"url": "https://api.example.org", "consoleBucket": BUCKET}
    platform = SimpleNamespace(
        engine_name="an engine", simulated=False, on_machine=False, in_cloud=True, models=("tiny",),
        root=Path("/checkout"), region="eu-central-1",
        settings=lambda: None, check_possible=lambda changing: None, prepare=lambda: None,
        up=lambda: done.append("up"), outputs=lambda show_secrets: outputs,
    )  # fmt: skip
    monkeypatch.setattr(commands, "Stack", lambda *_, **__: platform)
    kept = SimpleNamespace(check_settled=lambda: None, keep=lambda: done.append("kept"))
    monkeypatch.setattr(delivery, "of", lambda *_: kept)

    def answers(*_: object) -> Result:
        done.append("smoke")
        return Result("HTTP/3", "worker-1", "tiny", 0.1, 9)

    monkeypatch.setattr(smoke, "run", answers)
    monkeypatch.setattr(console, "build", lambda root: release(1) if root == platform.root else {})
    monkeypatch.setattr(console, "publish", lambda files, bucket, _: done.append(f"{len(files)} to {bucket}"))
    commands.up("prod")
    assert done == ["up", "smoke", f"5 to {BUCKET}", "kept"]
    del outputs["consoleBucket"]
    commands.up("prod")
    assert done[4:] == ["up", "smoke", "kept"]
