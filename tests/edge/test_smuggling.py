"""Requests whose end two servers could see in two places: none gets a second one past the edge."""

import asyncio
import socket
import ssl

import pytest

from components import edge
from tests.edge.backend import Backend
from tests.edge.clients import Headers, LostError
from tests.edge.conftest import Edge

HIDDEN = "GET /hidden HTTP/1.1\r\nHost: edge\r\nX: "
CHUNKS = "0\r\n\r\n"
HTTP1 = {
    "length and chunks": f"Content-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKS}{HIDDEN}",
    "chunks and length": f"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{CHUNKS}{HIDDEN}",
    "two lengths": f"Content-Length: 0\r\nContent-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "two lengths in a line": f"Content-Length: 0, {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a length with a sign": f"Content-Length: +0\r\n\r\n{HIDDEN}",
    "a negative length": f"Content-Length: -1\r\n\r\n{HIDDEN}",
    "a length in hexadecimal": f"Content-Length: 0x0\r\n\r\n{HIDDEN}",
    "a space before the colon": f"Transfer-Encoding : chunked\r\n\r\n{CHUNKS}{HIDDEN}",
    "an encoding that is none": f"Transfer-Encoding: xchunked\r\n\r\n{CHUNKS}{HIDDEN}",
    "two encodings": f"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{CHUNKS}{HIDDEN}",
    "two encodings in a line": f"Transfer-Encoding: gzip, chunked\r\n\r\n{CHUNKS}{HIDDEN}",
    "an encoding after a tab": f"Transfer-Encoding:\x0bchunked\r\n\r\n{CHUNKS}{HIDDEN}",
    "a folded line": f"X: y\r\n Transfer-Encoding: chunked\r\n\r\n{CHUNKS}{HIDDEN}",
    "a carriage return alone": f"X: y\rTransfer-Encoding: chunked\r\n\r\n{CHUNKS}{HIDDEN}",
    "a nul": "X: a\0b\r\n\r\n" + HIDDEN,
    "a chunk that is too long to count": f"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{HIDDEN}",
    "a chunk without a size": f"Transfer-Encoding: chunked\r\n\r\n\r\n{HIDDEN}",
}
"""What follows the request line and the host."""
WHOLE = {
    "chunks": ("Transfer-Encoding: chunked\r\n\r\n" + "1\r\nx\r\n" + CHUNKS, b"x"),
    "chunks with extensions": ("Transfer-Encoding: chunked\r\n\r\n" + "1;a=b\r\nx\r\n" + CHUNKS, b"x"),
    "chunks with trailers": ("Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nHost: other\r\n\r\n", b"x"),
    "a length": ("Content-Length: 1\r\n\r\nx", b"x"),
}
MULTIPLEXED: dict[str, Headers] = {
    "chunks": [("transfer-encoding", "chunked")],
    "a length that is too short": [("content-length", "1")],
    "a length that is too long": [("content-length", "1000")],
    "two lengths": [("content-length", "0"), ("content-length", str(len(HIDDEN)))],
    "a line in a value": [("x", "y\r\ntransfer-encoding: chunked")],
    "a line in a name": [("x: y\r\ntransfer-encoding", "chunked")],
    "a header of a connection": [("connection", "transfer-encoding"), ("transfer-encoding", "chunked")],
    "a second host": [("host", "other")],
    "capitals": [("Transfer-Encoding", "chunked")],
}
TARGETS = ["/x HTTP/1.1\r\nHost: edge\r\n\r\nGET /hidden", "/x y", "/\t", "hidden", ""]


def send(served: Edge, data: bytes) -> bytes:
    """Write bytes over HTTP/1.1 and return all that comes until the edge hangs up or says no more."""
    trust = ssl.create_default_context(cadata=served.identity.authority)
    with (
        socket.create_connection((served.address, edge.PORT), timeout=1) as plain,
        trust.wrap_socket(plain, server_hostname="edge") as connection,
    ):
        connection.sendall(data)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except (TimeoutError, ConnectionError, ssl.SSLError):
            pass
    return answer


def nothing_hidden(served: Edge, gateway: Backend) -> None:
    """The gateway has seen no hidden request, and the next clients get their own answers."""
    for protocol in ("http/1.1", "h2"):
        assert b'"/api/mine"' in served.ask("/api/mine", protocol).body
    assert not [one for one in gateway.seen if "hidden" in one.target]


@pytest.mark.parametrize("name", HTTP1)
def test_a_request_of_unclear_length_is_refused_and_its_connection_closed(
    served: Edge, gateway: Backend, name: str
) -> None:
    answer = send(served, f"POST /attack HTTP/1.1\r\nHost: edge\r\n{HTTP1[name]}".encode("latin-1"))
    assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 501"), answer
    assert answer.count(b"HTTP/1.1 ") == 1
    nothing_hidden(served, gateway)


@pytest.mark.parametrize("name", WHOLE)
def test_what_follows_a_whole_body_is_a_request_of_its_own(served: Edge, gateway: Backend, name: str) -> None:
    rest, body = WHOLE[name]
    start = len(gateway.seen)
    first = f"POST /first HTTP/1.1\r\nHost: edge\r\n{rest}"
    answer = send(served, f"{first}GET /second HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n".encode())
    assert answer.count(b"HTTP/1.1 200") == 2
    seen = [(one.target, one.body) for one in gateway.seen[start:]]
    assert seen == [("/first", body), ("/second", b"")]
    assert {one.headers["host"] for one in gateway.seen[start:]} == {"edge"}


@pytest.mark.parametrize("protocol", ["h2", "h3"])
@pytest.mark.parametrize("name", MULTIPLEXED)
def test_no_header_of_http_2_or_3_becomes_part_of_a_request_to_the_gateway(
    served: Edge, gateway: Backend, name: str, protocol: str
) -> None:
    start = len(gateway.seen)
    pseudo = [(":method", "POST"), (":scheme", "https"), (":authority", "edge"), (":path", "/attack")]
    attack(served, protocol, [*pseudo, *MULTIPLEXED[name]])
    for one in gateway.seen[start:]:
        assert one.headers["host"] == "edge"
        assert ("transfer-encoding" in one.headers) != ("content-length" in one.headers), (
            "nginx's own, one of two"
        )
        assert one.body == HIDDEN.encode()
    nothing_hidden(served, gateway)


@pytest.mark.parametrize("protocol", ["h2", "h3"])
@pytest.mark.parametrize("target", TARGETS)
def test_no_path_of_http_2_or_3_becomes_more_than_a_path(
    served: Edge, gateway: Backend, target: str, protocol: str
) -> None:
    pseudo = [(":method", "GET"), (":scheme", "https"), (":authority", "edge"), (":path", target)]
    status = attack(served, protocol, pseudo)
    assert status in (0, 400)
    nothing_hidden(served, gateway)


def attack(served: Edge, protocol: str, headers: Headers) -> int:
    """Send a request as it is, with a hidden one for its body; return the answer's status, 0 for none."""

    async def send() -> int:
        client = await served.dial(protocol)
        try:
            async with asyncio.timeout(2):
                return (await client.send(headers, HIDDEN.encode())).status
        except (LostError, TimeoutError):
            return 0
        finally:
            await client.close()

    return asyncio.run(send())
