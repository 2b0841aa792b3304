"""What clients of a running edge see: who may keep an answer, and which certificate they are shown."""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import docker
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from docker.models.containers import Container

from components import edge
from components.certificates import ServerCertificate
from components.service import CONFIG_DIR, Service
from stacks.aws import CdnSettings
from stacks.settings import EdgeSettings
from tests.containers import host_in
from tests.identity import Identity
from tests.templates.rendered import NO_CERTIFICATE, Starter, archive, wait_until_healthy

PRIVATE = "private, no-store"
PUBLIC = "public, max-age=0, s-maxage=300"
NOBODY = "127.0.0.1:9"


class Gateway(BaseHTTPRequestHandler):
    """Answers everything; what it says about caching is not its to say."""

    def do_GET(self) -> None:
        if self.path == "/ws":
            self.switch()
            return
        self.send_response(404 if self.path.startswith("/missing") else 200)
        self.send_header("Cache-Control", "public, max-age=86400")
        self.send_header("Seen", self.headers["X-Real-IP"])
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def switch(self) -> None:
        """Take the connection over, as for a WebSocket, and give back what comes."""
        asked = [f"{name}: {self.headers[name]}" for name in ("Upgrade", "Connection", "X-Forwarded-Host")]
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        self.wfile.write("\r\n".join([*lines, f"Seen: {', '.join(asked)}", "", ""]).encode())
        while data := self.connection.recv(100):
            self.wfile.write(data.upper())

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    """Return the address of a gateway, as a container reaches it."""
    client = docker.from_env()
    host = host_in(client.networks.get("bridge"))
    client.close()
    server = ThreadingHTTPServer((host, 0), Gateway)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"{host}:{server.server_port}"
    server.shutdown()
    server.server_close()


def service(gateway: str, certificate: ServerCertificate | str = NO_CERTIFICATE) -> Service:
    host, _, port = gateway.partition(":")
    return edge.describe(
        edge.EdgeArgs(
            settings=EdgeSettings(),
            public_port=8443,
            gateways=[host],
            gateway_port=int(port),
            max_header_bytes=8192,
            max_body_bytes=1024,
            longest_silence_s=600,
            certificate=certificate,
            cdn=CdnSettings(public_paths=("/api/version", "/v1/models")),
        )
    )


def address_of(container: Container) -> str:
    container.reload()
    address: str = container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    return address


def ask(
    container: Container, identity: Identity, port: int, method: str, path: str, headers: dict[str, str]
) -> http.client.HTTPMessage:
    """Return the headers of the answer."""
    trust = ssl.create_default_context(cadata=identity.authority)
    trust.check_hostname = False
    connection = http.client.HTTPSConnection(address_of(container), port, timeout=10, context=trust)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.headers


def test_a_cdn_may_keep_public_answers_to_nobody_in_particular_and_nothing_else(
    gateway: str, identity: Identity, started: Starter
) -> None:
    described = service(gateway)
    said = {}
    with started(described) as container:
        wait_until_healthy(container, described)
        for method, path, headers in (
            ("GET", "/api/version", {}),
            ("GET", "/v1/models", {}),
            ("GET", "/v1/models?page=2", {}),
            ("GET", "/api/version", {"Authorization": "Bearer x"}),
            ("GET", "/api/version", {"X-Api-Key": "x"}),
            ("GET", "/api/version", {"Cookie": "session=x"}),
            ("POST", "/api/version", {}),
            ("GET", "/api/tags", {}),
            ("GET", "/v1/models/llama", {}),
            ("GET", "/missing", {}),
        ):
            told = ask(container, identity, edge.CDN_PORT, method, path, headers)
            said[f"{method} {path} {''.join(headers)}".strip()] = told.get_all("Cache-Control")
    public = {"GET /api/version", "GET /v1/models", "GET /v1/models?page=2"}
    assert said == {what: [PUBLIC if what in public else PRIVATE] for what in said}


def test_the_cdns_word_for_who_asks_is_taken_on_its_own_port_alone(
    gateway: str, identity: Identity, started: Starter
) -> None:
    described = service(gateway)
    claimed = {"X-Forwarded-For": "198.51.100.1, 198.51.100.7"}
    with started(described) as container:
        wait_until_healthy(container, described)
        by_cdn = ask(container, identity, edge.CDN_PORT, "GET", "/api/tags", claimed)
        directly = ask(container, identity, edge.PORT, "GET", "/api/tags", claimed)
    assert by_cdn["Seen"] == "198.51.100.7", "what the CDN added, and not what its client made up"
    assert directly["Seen"] == gateway.partition(":")[0]


def test_a_websocket_passes_with_the_host_that_its_page_asked(
    gateway: str, identity: Identity, started: Starter
) -> None:
    described = service(gateway)
    trust = ssl.create_default_context(cadata=identity.authority)
    trust.check_hostname = False
    head = (
        "GET /ws HTTP/1.1\r\nHost: localhost:8443\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n"
        "X-Forwarded-Host: evil.example.com\r\n\r\n"
    )
    with started(described) as container:
        wait_until_healthy(container, described)
        plain = socket.create_connection((address_of(container), edge.PORT), timeout=10)
        with plain, trust.wrap_socket(plain) as connection, connection.makefile("rwb") as stream:
            stream.write(head.encode())
            stream.flush()
            assert b" 101 " in stream.readline()
            answer = http.client.parse_headers(stream)
            assert answer["Seen"] == (
                "Upgrade: websocket, Connection: upgrade, X-Forwarded-Host: localhost:8443"
            )
            for said in (b"one\n", b"two\n"):
                stream.write(said)
                stream.flush()
                assert stream.readline() == said.upper()


def test_http3_is_offered_only_where_it_is_to_be_had(
    gateway: str, identity: Identity, started: Starter
) -> None:
    described = service(gateway)
    with started(described) as container:
        wait_until_healthy(container, described)
        assert "Alt-Svc" in ask(container, identity, edge.PORT, "GET", "/", {})
        assert "Alt-Svc" not in ask(container, identity, edge.CDN_PORT, "GET", "/", {})


@pytest.mark.parametrize("kept", [NO_CERTIFICATE, "edge-tls"], ids=["the stack's", "the cluster's"])
def test_a_renewed_certificate_is_shown_without_a_reload(
    started: Starter, kept: ServerCertificate | str
) -> None:
    described = service(NOBODY, kept)
    with started(described) as container:
        wait_until_healthy(container, described)
        for certificate, key in (own_certificate(), own_certificate()):
            files = {"tls.crt": certificate, "tls.key": key} if kept == "edge-tls" else {}
            container.put_archive(CONFIG_DIR, archive({}, files or {"tls.pem": certificate + key}))
            assert shown(container) == certificate


def shown(container: Container) -> str:
    return ssl.get_server_certificate((address_of(container), edge.PORT), timeout=10)


def own_certificate() -> tuple[str, str]:
    """Return a new certificate of nobody's, and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api.llm.example.org")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem).decode(), private.decode()
