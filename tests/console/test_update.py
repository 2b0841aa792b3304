"""A newer console, in a browser that has an older one."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.chromium import chromium
from tests.console.conftest import Files

KINDS = {"css": "text/css", "html": "text/html", "js": "text/javascript", "svg": "image/svg+xml"}


class Site(BaseHTTPRequestHandler):
    """The console's files, and nothing of the platform."""

    files: ClassVar[Files]

    def do_GET(self) -> None:
        name = self.path.removeprefix("/") or "index.html"
        self.send_response(200 if name in self.files else 404)
        self.send_header("Content-Type", KINDS.get(name.rpartition(".")[2], "text/plain"))
        self.end_headers()
        self.wfile.write(self.files.get(name, b""))

    def log_message(self, *_: object) -> None: ...


def newer(files: Files) -> Files:
    """Return another release, whose page tells that it is one."""
    page = files["index.html"].replace(b'content="The console', b'content="Newer')
    worker, changed = re.subn(rb"[0-9a-f]{12}", b"another", files["sw.js"])
    assert page != files["index.html"]
    assert changed == 1, "the release has one name, by which its files are kept"
    return {**files, "index.html": page, "sw.js": worker}


@pytest.fixture
def page(files: Files) -> Iterator[Page]:
    """Return the console as somebody has it open who is signed in, though no platform answers."""
    Site.files = files
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright, chromium(playwright) as browser:
        page = browser.new_page()
        page.add_init_script("sessionStorage.setItem('ollamamax.key', 'omx_any')")
        page.goto(f"http://localhost:{server.server_port}/")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        yield page
    server.shutdown()
    server.server_close()


def test_a_newer_console_is_offered_and_loaded_when_it_is_wanted(page: Page, files: Files) -> None:
    page.reload()  # from now on the service worker has the page
    Site.files = newer(files)
    page.evaluate("navigator.serviceWorker.getRegistration().then((one) => one.update()).then(() => true)")
    offer = page.get_by_role("status").filter(has_text="There is a newer console")
    expect(offer).to_be_visible()
    page.reload()
    assert "Newer" not in page.content(), "nothing changes under those who do not want it yet"
    offer.get_by_role("button", name="Load it").click()
    page.wait_for_function("document.head.innerHTML.includes('Newer')")
    expect(offer).to_have_count(0)


def test_the_service_worker_has_the_page_when_nobody_answers(page: Page) -> None:
    page.reload()
    Site.files = {}
    page.reload()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
