"""Which protocols, versions of TLS and ciphers the edge speaks, to clients with nothing in common."""

import asyncio
import socket
import ssl
import warnings

import pytest
from qh3 import QuicConfiguration, connect
from qh3.tls import SessionTicket

from components import edge
from tests.edge.conftest import Edge
from tests.edge.multiplexed import IGNORED, RESERVED, Http3Protocol, reserve

CURL = {"--http1.1": "1.1", "--http2": "2", "--http3-only": "3"}
KEPT = "curl: (95) HTTP/3 stream 0 reset by server"
"""What comes of a header of which curl 8.14, on a busy machine, keeps a part to itself: docs/edge.md."""
CIPHERS = {
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
}
"""Of TLS 1.2: those that the tests' key, of elliptic curves, goes with."""


def curl(served: Edge, *words: str) -> str:
    """Run curl and return what it prints; only where it has kept a part of its header, it asks once more."""
    command = ("curl", "--silent", "--show-error", "--cacert", "/ca.pem", *words)
    try:
        return served.run(*command)
    except AssertionError as error:
        if KEPT not in str(error):
            raise
    return served.run(*command)


@pytest.mark.parametrize("option", CURL)
def test_curl_speaks_every_version_of_http(served: Edge, option: str) -> None:
    shown = "%{http_version} %{response_code} %header{alt-svc}"
    said = curl(served, option, "--output", "/dev/null", "--write-out", shown, "https://edge:8443/api/tags")
    assert said == f'{CURL[option]} 200 h3=":8443"; ma=86400'


def test_curl_posts_and_reads_a_stream_over_http3(served: Edge) -> None:
    said = curl(served, "--http3-only", "--no-buffer", "--data", "{}", "https://edge:8443/api/chat?tokens=50")
    assert said.splitlines()[-1] == '{"n": 49}'
    assert len(said.splitlines()) == 50


@pytest.mark.parametrize("known", [0x03, 0x0E])
def test_a_reserved_parameter_is_refused_that_ends_like_a_known_one(
    served: Edge, known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = next(one for one in range(RESERVED, 1 << 40, 31) if one > 0xFFFF and one & 0xFFFF == known)
    reserve(monkeypatch, number)
    with pytest.raises(ConnectionError):
        served.ask("/api/tags", "h3")
    reserve(monkeypatch, IGNORED)
    assert served.ask("/api/tags", "h3").status == 200


def client(served: Edge) -> ssl.SSLContext:
    """Return a client that would speak everything that it can."""
    trust = ssl.create_default_context(cadata=served.identity.authority)
    trust.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return trust


def shake_hands(served: Edge, trust: ssl.SSLContext, port: int = edge.PORT) -> ssl.SSLSocket:
    plain = socket.create_connection((served.address, port), timeout=10)
    try:
        return trust.wrap_socket(plain, server_hostname="edge")
    except ssl.SSLError:
        plain.close()
        raise


@pytest.mark.parametrize("port", [edge.PORT, edge.CDN_PORT])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_a_version_of_tls_before_1_2_is_refused(served: Edge, version: ssl.TLSVersion, port: int) -> None:
    trust = client(served)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        trust.minimum_version = trust.maximum_version = version
    with pytest.raises(ssl.SSLError, match=r"(?i)alert.protocol.version"):
        shake_hands(served, trust, port)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken_without_compression(served: Edge, version: ssl.TLSVersion) -> None:
    trust = client(served)
    trust.minimum_version = trust.maximum_version = version
    with shake_hands(served, trust) as connection:
        assert connection.version() == version.name.replace("_", ".")
        assert connection.compression() is None


def test_of_tls_1_2_only_ciphers_with_forward_secrecy_and_authentication_are_spoken(served: Edge) -> None:
    spoken = set()
    known = [one["name"] for one in client(served).get_ciphers() if one["protocol"] != "TLSv1.3"]
    assert len(known) > 50, "this machine's OpenSSL knows some that are to be refused"
    for name in known:
        trust = ssl.create_default_context(cadata=served.identity.authority)
        trust.maximum_version = ssl.TLSVersion.TLSv1_2
        trust.set_ciphers(f"{name}:@SECLEVEL=0")
        try:
            shake_hands(served, trust).close()
        except (ssl.SSLError, ConnectionError):
            continue
        spoken.add(name)
    assert spoken == CIPHERS


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1")],
)
def test_the_newest_protocol_that_both_know_is_chosen(served: Edge, offered: list[str], chosen: str) -> None:
    trust = client(served)
    trust.set_alpn_protocols(offered)
    with shake_hands(served, trust) as connection:
        assert connection.selected_alpn_protocol() == chosen


def test_a_protocol_that_is_none_of_ours_is_refused(served: Edge) -> None:
    trust = client(served)
    trust.set_alpn_protocols(["spdy/3"])
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        shake_hands(served, trust)


def test_no_session_of_tls_may_begin_with_a_request_that_could_be_replayed(served: Edge) -> None:
    said = served.run(
        *("openssl", "s_client", "-connect", "edge:8443", "-CAfile", "/ca.pem", "-tls1_3", "-ign_eof"),
        stdin="GET / HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n",
    )
    assert "Max Early Data: 0" in said
    assert "Verify return code: 0 (ok)" in said


def test_no_session_of_quic_may_begin_with_a_request_that_could_be_replayed(served: Edge) -> None:
    tickets: list[SessionTicket] = []

    async def visit() -> None:
        configuration = QuicConfiguration(
            is_client=True,
            alpn_protocols=["h3"],
            cadata=served.identity.authority.encode(),
            server_name="edge",
        )
        async with connect(
            served.address,
            edge.PORT,
            configuration=configuration,
            create_protocol=Http3Protocol,
            session_ticket_handler=tickets.append,
        ) as made:
            await made.ping()

    asyncio.run(visit())
    assert [ticket.max_early_data_size for ticket in tickets if ticket.max_early_data_size] == []


def test_plain_http_on_the_port_of_tls_is_told_so(served: Edge) -> None:
    with socket.create_connection((served.address, edge.PORT), timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: edge\r\n\r\n")
        answer = plain.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b'{"error":"bad request"}')
