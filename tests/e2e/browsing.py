"""A real browser on the console of a running platform."""

import base64
import hashlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from playwright.sync_api import Browser, Page, TimeoutError, expect

from tests.e2e.conftest import Platform

HELLO = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "options": {"num_predict": 8}}
PATIENCE_MS = 20_000
REACHING = "--host-resolver-rules=MAP localhost 127.0.0.1"
"""Docker's proxy of ports does not carry QUIC over IPv6."""
expect.set_options(timeout=PATIENCE_MS)


def pin(platform: Platform) -> str:
    """Return the hash by which the browser is told to take the edge's key for good.

    Pages behind a certificate whose errors are merely ignored may have no service worker.
    """
    shown = x509.load_pem_x509_certificate(ssl.get_server_certificate(("localhost", platform.port)).encode())
    key = shown.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def trusting(platform: Platform, *options: str) -> list[str]:
    """Return options of a browser that trusts the platform's edge."""
    return [REACHING, f"--ignore-certificate-errors-spki-list={pin(platform)}", *options]


def enter(browser: Browser, platform: Platform, key: str, script: str = "", **options: Any) -> Page:
    """Open the console, in a context of its own, and show it a key; ``script`` runs before its own."""
    context = browser.new_context(viewport={"width": 1360, "height": 860}, **options)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.add_init_script(script)
    page.goto(f"{platform.url}/console/")
    try:
        page.get_by_label("API key").wait_for(timeout=PATIENCE_MS / 4)
    except TimeoutError:
        page.reload()  # the networks of other tests come and go, with which Chromium gives up what it loads
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    return page


def visit(page: Page, title: str) -> None:
    """Follow the link to a page of the console."""
    page.get_by_role("navigation").get_by_role("link", name=title).click()
    page.get_by_role("heading", name=title, level=1).wait_for()
    expect(page.locator(".skeleton")).to_have_count(0)


@contextmanager
def asking(platform: Platform) -> Iterator[None]:
    """Have clients ask the platform for one chat after the other.

    Each gateway tells what it does itself: with two clients all of them get requests, the followed one too.
    """
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(verify=platform.trust, headers=platform.headers, timeout=60) as client:
            while not stop.is_set():
                client.post(f"{platform.url}/api/chat", json=HELLO)

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        stop.set()
        for client in clients:
            client.join()
