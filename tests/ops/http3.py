"""A small HTTP/3 server with scripted answers."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from qh3 import H3Connection, QuicConfiguration, QuicConnectionProtocol, h3_events, quic_events, serve


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What it is told, piece by piece."""

    status: int = 200
    pieces: Sequence[bytes] = ()
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Server:
    """A server that runs: where, with what answers, and what it has been asked."""

    port: int
    answers: dict[str, Answer]
    requests: list[Request] = field(default_factory=list)


@contextmanager
def running(certificate: Path, key: Path, answers: dict[str, Answer]) -> Iterator[Server]:
    """Serve ``answers`` by path on a free port of loopback, in a thread of its own."""
    server = Server(0, answers)
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stop = asyncio.Event()

    async def main() -> None:
        configuration = QuicConfiguration(
            is_client=False, alpn_protocols=["h3"], max_datagram_frame_size=65_536
        )
        configuration.load_cert_chain(certificate, key)
        listening = await serve(
            "127.0.0.1",
            0,
            configuration=configuration,
            create_protocol=lambda *args, **kwargs: _Connection(server, *args, **kwargs),
        )
        assert listening._transport
        server.port = listening._transport.get_extra_info("sockname")[1]
        ready.set()
        await stop.wait()
        listening.close()  # type: ignore[no-untyped-call]
        await asyncio.sleep(0)  # lets the transport close before its loop does

    def run() -> None:
        loop.run_until_complete(main())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(10), "the server did not start"
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


class _Connection(QuicConnectionProtocol):
    """One client's connection."""

    def __init__(self, server: Server, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._server = server
        self._http: H3Connection | None = None
        self._headers: dict[int, dict[str, str]] = {}
        self._bodies: dict[int, bytes] = {}

    def quic_event_received(self, event: quic_events.QuicEvent) -> None:
        if isinstance(event, quic_events.ProtocolNegotiated):
            self._http = H3Connection(self._quic)
        http = self._http
        for found in http.handle_event(event) if http else ():
            if isinstance(found, h3_events.HeadersReceived):
                self._headers[found.stream_id] = {
                    name.decode(): value.decode() for name, value in found.headers
                }
            elif isinstance(found, h3_events.DataReceived):
                self._bodies[found.stream_id] = self._bodies.get(found.stream_id, b"") + found.data
            else:
                continue
            if http and found.stream_ended:
                self._answer(http, found.stream_id)

    def _answer(self, http: H3Connection, stream: int) -> None:
        headers = self._headers.pop(stream)
        path = headers[":path"]
        self._server.requests.append(
            Request(headers[":method"], path, headers, self._bodies.pop(stream, b""))
        )
        answer = self._server.answers.get(path, Answer(404, [b"not found"]))
        sent = {":status": str(answer.status), **answer.headers}
        http.send_headers(stream, [(name.encode(), value.encode()) for name, value in sent.items()])
        for piece in answer.pieces:
            http.send_data(stream, piece, end_stream=False)
        http.send_data(stream, b"", end_stream=True)
        self.transmit()
