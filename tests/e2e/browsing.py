"""A real browser on the console of a running platform."""

import base64
import hashlib
import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from playwright.sync_api import Browser, Page, Playwright, TimeoutError, expect

from tests.e2e.conftest import Platform

PATIENCE_MS = 20_000
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


@contextmanager
def chromium(playwright: Playwright, platform: Platform, *options: str) -> Iterator[Browser]:
    """Run Chromium, which trusts the platform's edge."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "no Chromium is there: ops/browser.sh installs it"
    browser = playwright.chromium.launch(
        executable_path=program,
        # Docker's proxy of ports does not carry QUIC over IPv6.
        args=[
            "--no-sandbox",
            "--host-resolver-rules=MAP localhost 127.0.0.1",
            f"--ignore-certificate-errors-spki-list={pin(platform)}",
            *options,
        ],
    )
    try:
        yield browser
    finally:
        browser.close()


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
