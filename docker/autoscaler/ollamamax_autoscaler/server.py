"""The pages: ``/metrics`` for Prometheus, ``/forecasts`` for gateways, ``/livez`` for the health check."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


class Pulse:
    """Tells whether what is to happen again and again still does."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self.beat()

    def beat(self) -> None:
        """Note that it has happened."""
        self._at = time.monotonic()

    @property
    def beats(self) -> bool:
        """Whether it has happened lately."""
        return time.monotonic() - self._at < self._within_s


def serve(
    registry: CollectorRegistry, forecasts: Callable[[], object], pulse: Pulse, port: int
) -> ThreadingHTTPServer:
    """Serve the pages in the background, on all addresses; ``forecasts`` is called from other threads.

    Raises:
        OSError: naming the port, if it is not to be had.
    """

    class Handler(BaseHTTPRequestHandler):
        """Answers one request."""

        timeout = 10

        def do_GET(self) -> None:
            """Answer with a page."""
            if self.path == "/metrics":
                self._answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)
            elif self.path == "/forecasts":
                self._answer(200, json.dumps(forecasts(), allow_nan=False).encode(), "application/json")
            elif self.path == "/livez":
                self._answer(*((200, b"alive\n") if pulse.beats else (503, b"stuck\n")))
            else:
                self._answer(404, b"/metrics, /forecasts or /livez\n")

        def _answer(self, status: int, body: bytes, kind: str = "text/plain") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing: these requests come every few seconds."""

    try:
        server = ThreadingHTTPServer(("", port), Handler)
    except OSError as error:
        raise OSError(f"port {port}: {error.strerror}") from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
