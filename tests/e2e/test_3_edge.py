"""What the edge speaks, and what the platform refuses."""

import gzip
import json
import socket
import ssl
import time

import httpx
import niquests
import pytest

from tests.e2e.conftest import Platform

HELLO = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "options": {"num_predict": 8}}
SLOW_LORIS_S = 5
MARGIN_S = 3


def send(platform: Platform, data: bytes, limit_s: float = 15) -> tuple[bytes, float]:
    """Write raw bytes to the edge and return all it answers, and how long until it hung up."""
    context = platform.trust
    context.set_alpn_protocols(["http/1.1"])
    started = time.monotonic()
    with (
        socket.create_connection(("localhost", platform.port), timeout=limit_s) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(data)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except (ConnectionResetError, ssl.SSLError):
            pass
    return answer, time.monotonic() - started


@pytest.mark.parametrize(
    ("disabled", "version"),
    [
        ({"disable_http2": True, "disable_http3": True}, 11),
        ({"disable_http3": True}, 20),
        ({"disable_http2": True, "disable_http1": True}, 30),
    ],
)
def test_the_edge_answers_over_each_protocol(
    platform: Platform, disabled: dict[str, bool], version: int
) -> None:
    with niquests.Session(**disabled) as session:  # type: ignore[arg-type]
        session.trust_env = False
        if version == 30:
            session.quic_cache_layer[("localhost", platform.port)] = ("localhost", platform.port)
        answer = session.get(f"{platform.url}/api/tags", headers=platform.headers, verify=str(platform.ca))
        assert answer.status_code == 200
        assert answer.http_version == version
        assert answer.headers["alt-svc"] == f'h3=":{platform.port}"; ma=86400', (
            "the port that the client sees"
        )


def test_the_certificate_is_the_stacks_own(platform: Platform) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(platform.url)


def test_streams_arrive_piece_by_piece_and_uncompressed(platform: Platform) -> None:
    def pieces() -> int:
        with httpx.stream(
            "POST",
            f"{platform.url}/api/chat",
            json={**HELLO, "options": {"num_predict": 64}},
            headers={**platform.headers, "Accept-Encoding": "br, gzip"},
            verify=platform.trust,
        ) as answer:
            assert answer.status_code == 200
            assert "content-encoding" not in answer.headers
            return sum(1 for _ in answer.iter_raw())

    # A busy machine lets pieces pile up before they are read; buffers never let more than two through.
    most = max(pieces() for _ in range(5))
    assert most > 3, "64 tokens are some 7 kB: buffered, they would come in two pieces"


def test_large_json_is_compressed_on_request(platform: Platform) -> None:
    with httpx.Client(verify=platform.trust, headers=platform.headers) as client:
        body = {"model": "tiny", "input": ["a"] * 4}
        for encoding in ("br", "gzip"):
            with client.stream(
                "POST", f"{platform.url}/api/embed", json=body, headers={"Accept-Encoding": encoding}
            ) as answer:
                assert answer.headers["content-encoding"] == encoding
                raw = b"".join(answer.iter_raw())
            if encoding == "gzip":
                assert len(json.loads(gzip.decompress(raw))["embeddings"]) == 4


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
def test_no_key_or_a_wrong_key_is_401(platform: Platform, headers: dict[str, str]) -> None:
    for path in ("/api/tags", "/v1/models", "/api/v1/nodes", "/anything"):
        answer = httpx.get(platform.url + path, headers=headers, verify=platform.trust)
        assert answer.status_code == 401, path
        assert "error" in answer.json(), path


@pytest.mark.parametrize("size", [8200, 12_000, 30_000])
@pytest.mark.parametrize(
    "disabled", [{"disable_http2": True, "disable_http3": True}, {"disable_http3": True}]
)
def test_a_header_over_8192_bytes_is_431(platform: Platform, size: int, disabled: dict[str, bool]) -> None:
    with niquests.Session(**disabled) as session:  # type: ignore[arg-type]
        session.trust_env = False
        answer = session.get(
            f"{platform.url}/api/tags",
            headers={**platform.headers, "X-Padding": "x" * size},
            verify=str(platform.ca),
        )
        assert answer.status_code == 431
        assert "error" in answer.json()


def test_a_body_over_the_limit_is_413(platform: Platform) -> None:
    body = b'{"model":"tiny","prompt":"' + b"x" * (32 * 1024 * 1024) + b'"}'
    answer = httpx.post(
        f"{platform.url}/api/generate",
        content=body,
        headers=platform.headers,
        verify=platform.trust,
        timeout=60,
    )
    assert answer.status_code == 413
    assert "error" in answer.json()


@pytest.mark.parametrize(
    "data",
    [
        b"GET /api/tags HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    ],
    ids=["headers", "body"],
)
def test_a_client_that_stalls_is_cut_off(platform: Platform, data: bytes) -> None:
    _, seconds = send(platform, data)
    assert SLOW_LORIS_S - 1 <= seconds <= SLOW_LORIS_S + MARGIN_S


@pytest.mark.parametrize(
    "path",
    [
        "/api/../api/tags",
        "/api/%2e%2e/api/tags",
        "/..%2f..%2fetc/passwd",
        "//api/tags",
        "/api//tags",
        "/api%2ftags",
        "/api/tags/..;/",
        "/api/tags%00",
        "/api\\tags",
        "http://worker-1:11434/api/tags",
    ],
)
def test_path_tricks_reach_no_worker(platform: Platform, path: str) -> None:
    lines = (
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {platform.key}",
        "Connection: close",
    )
    request = "\r\n".join([*lines, "", ""])
    answer, _ = send(platform, request.encode())
    status = int(answer.split(b" ", 2)[1])
    head = answer.partition(b"\r\n\r\n")[0].lower()
    if path.startswith("http://"):  # the absolute form names a path of the platform, whatever its host
        assert status in (200, 400, 404)
    else:
        assert status in (400, 404), answer
    assert b"x-ollamamax-node" not in head or status == 200
