"""Browsers that come to trust the stack's authority, and trust it no longer."""

from pathlib import Path

from playwright.sync_api import Error, Playwright

from tests.chromium import chromium
from tests.e2e.browsing import REACHING
from tests.e2e.conftest import STACK, Platform


def test_a_browser_trusts_the_stack_from_make_trust_to_make_untrust(
    playwright: Playwright, platform: Platform, tmp_path: Path
) -> None:
    home = {"HOME": str(tmp_path)}

    def finds() -> str:
        with chromium(playwright, REACHING, env=home) as browser:
            page = browser.new_page()
            try:
                page.goto(f"{platform.url}/console/")
            except Error as error:
                return str(error)
            return str(page.evaluate("navigator.serviceWorker.ready.then(({active}) => active.scriptURL)"))

    assert "ERR_CERT_AUTHORITY_INVALID" in finds()
    trusted = platform.checkout.make("trust", f"STACK={STACK}", env=home)
    assert trusted.status == 0, trusted.text
    assert finds() == f"{platform.url}/console/sw.js", "a browser runs a service worker only where it trusts"
    again = platform.checkout.make("untrust", f"STACK={STACK}", env=home)
    assert again.status == 0, again.text
    assert "ERR_CERT_AUTHORITY_INVALID" in finds()
