"""The clients over HTTP/2 and HTTP/3, which carry any number of requests at once."""

import asyncio
import ssl
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from functools import partial

import pytest
from jh2.config import H2Configuration
from jh2.connection import H2Connection
from jh2.events import (
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from qh3 import H3Connection, QuicConfiguration, QuicConnectionProtocol, connect, h3_events, quic_events
from qh3.quic import connection
from qh3.quic.tls_bridge import QuicTlsBridge

from tests.edge.clients import Answer, Client, Headers, Http1, LostError, Take, note

FRAME, WINDOW = 2**14, 2**20
HEAD, GOAWAY = 9, 7
"""Bytes before the content of a frame, and a type of frame."""
RESERVED = 27
"""The first of the numbers of transport parameters that mean nothing; each 31st after it is one too."""
IGNORED = RESERVED + 31


@dataclass
class Exchange:
    """An answer that is still coming."""

    done: "asyncio.Future[Answer]"
    take: Take | None
    answer: Answer = field(default_factory=Answer)

    def fail(self, why: str, *, unread: bool = False) -> None:
        """Give up on it."""
        if not self.done.done():
            self.done.set_exception(LostError(why, begun=bool(self.answer.status), unread=unread))

    def end(self) -> None:
        """It is whole."""
        if not self.done.done():
            self.done.set_result(self.answer)


class Http2(Client):
    """HTTP/2: any number of requests at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = H2Connection(
            H2Configuration(
                client_side=True,
                header_encoding="utf-8",
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self._http.initiate_connection()
        self._http.increment_flow_control_window(WINDOW)
        self._exchanges: dict[int, Exchange] = {}
        self._frames = b""
        self._room = asyncio.Event()
        self._flush()
        self._reading = asyncio.create_task(self._read())

    async def send(self, headers: Headers, body: bytes, take: Take | None = None) -> Answer:
        if self._reading.done():
            raise LostError("the connection has ended", begun=False, unread=True)
        number = self._http.get_next_available_stream_id()
        exchange = Exchange(asyncio.get_running_loop().create_future(), take)
        self._exchanges[number] = exchange
        self._http.send_headers(number, list(headers), end_stream=not body)
        self._flush()
        while body and not self._reading.done() and not exchange.done.done():
            self._room.clear()
            if room := min(self._http.local_flow_control_window(number), FRAME):
                self._http.send_data(number, body[:room], end_stream=room >= len(body))
                body = body[room:]
                self._flush()
                await self._writer.drain()
            else:
                await self._room.wait()
        return await exchange.done

    def _flush(self) -> None:
        self._writer.write(self._http.data_to_send())

    async def _read(self) -> None:
        why = "the server hung up"
        try:
            while data := await self._reader.read(65536):
                for event in self._http.receive_data(self._without_goaway(data)):
                    self._on(event)
                self._room.set()
                self._flush()
        except OSError as error:
            why = str(error)
        for exchange in self._exchanges.values():
            exchange.fail(why)
        self._room.set()

    def _without_goaway(self, data: bytes) -> bytes:
        """Return the whole frames that are there, but GOAWAY: after it, the library takes no answer."""
        self._frames += data
        kept = b""
        while len(self._frames) >= (size := HEAD + int.from_bytes(self._frames[:3])):
            frame, self._frames = self._frames[:size], self._frames[size:]
            if frame[3] != GOAWAY:
                kept += frame
                continue
            self.closing = True
            last = int.from_bytes(frame[HEAD : HEAD + 4])
            for number, pending in self._exchanges.items():
                if number > last:
                    pending.fail("not looked at", unread=True)
        return kept

    def _on(self, event: Event) -> None:
        exchange = self._exchanges.get(getattr(event, "stream_id", None) or 0)
        if exchange is None:
            return  # of the connection as a whole
        if isinstance(event, ResponseReceived):
            named = {str(name): str(value) for name, value in event.headers or ()}
            exchange.answer.status = int(named.pop(":status"))
            exchange.answer.headers = named
        elif isinstance(event, DataReceived):
            self._http.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
            note(exchange.answer, event.data or b"", exchange.take)
        elif isinstance(event, StreamEnded):
            exchange.end()
        elif isinstance(event, StreamReset):
            exchange.fail(f"the server ended the stream: {event.error_code}")

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
        await self._reading


class Http3(Client):
    """HTTP/3: any number of requests at once."""

    def __init__(
        self, protocol: "Http3Protocol", opened: AbstractAsyncContextManager[QuicConnectionProtocol]
    ) -> None:
        self._protocol, self._opened = protocol, opened
        protocol.client = self

    async def send(self, headers: Headers, body: bytes, take: Take | None = None) -> Answer:
        return await self._protocol.send(headers, body, take)

    async def close(self) -> None:
        await self._opened.__aexit__(None, None, None)


class Http3Protocol(QuicConnectionProtocol):
    """The connection under it."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._http = H3Connection(self._quic)
        self._exchanges: dict[int, Exchange] = {}
        self.client: Client | None = None

    async def send(self, headers: Headers, body: bytes, take: Take | None) -> Answer:
        number = self._quic.get_next_available_stream_id()
        exchange = Exchange(asyncio.get_running_loop().create_future(), take)
        self._exchanges[number] = exchange
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        self._http.send_headers(number, encoded, end_stream=not body)
        if body:
            self._http.send_data(number, body, end_stream=True)
        self.transmit()
        return await exchange.done

    def quic_event_received(self, event: quic_events.QuicEvent) -> None:
        if isinstance(event, quic_events.ConnectionTerminated):
            for exchange in self._exchanges.values():
                exchange.fail(f"the connection ended: {event.reason_phrase}")
        if isinstance(event, quic_events.StreamReset) and event.stream_id in self._exchanges:
            self._exchanges[event.stream_id].fail(f"the server ended the stream: {event.error_code}")
        for found in self._http.handle_event(event):
            if isinstance(found, h3_events.GoawayReceived) and self.client:
                self.client.closing = True
            if not isinstance(found, h3_events.HeadersReceived | h3_events.DataReceived):
                continue
            exchange = self._exchanges[found.stream_id]
            if isinstance(found, h3_events.HeadersReceived):
                named = {name.decode(): value.decode() for name, value in found.headers}
                exchange.answer.status = int(named.pop(":status"))
                exchange.answer.headers = named
            elif found.data:
                note(exchange.answer, found.data, exchange.take)
            if found.stream_ended:
                exchange.end()


def reserve(patched: pytest.MonkeyPatch, number: int) -> None:
    """Have QUIC connections send this reserved transport parameter (RFC 9000, 18.1), not a random one."""
    patched.setattr(connection, "QuicTlsBridge", partial(QuicTlsBridge, grease_transport_parameter=number))


async def dial(protocol: str, host: str, port: int, authority: str, name: str = "edge") -> Client:
    """Connect over ``http/1.1``, ``h2`` or ``h3`` to the server ``name``, by what ``authority`` signed."""
    if protocol == "h3":
        configuration = QuicConfiguration(
            is_client=True, alpn_protocols=["h3"], cadata=authority.encode(), server_name=name
        )
        opened = connect(host, port, configuration=configuration, create_protocol=Http3Protocol)
        made = await opened.__aenter__()
        assert isinstance(made, Http3Protocol)
        return Http3(made, opened)
    trust = ssl.create_default_context(cadata=authority)
    trust.set_alpn_protocols([protocol])
    reader, writer = await asyncio.open_connection(host, port, ssl=trust, server_hostname=name)
    return Http2(reader, writer) if protocol == "h2" else Http1(reader, writer)
