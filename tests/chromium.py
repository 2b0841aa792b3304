"""Chromium, as Debian has it, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from playwright.sync_api import Browser, Playwright


@contextmanager
def chromium(
    playwright: Playwright, *options: str, env: Mapping[str, str] | None = None
) -> Iterator[Browser]:
    """Run it with these options beside its own, and these variables beside those that there are."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "no Chromium is there: ops/browser.sh installs it"
    browser = playwright.chromium.launch(
        executable_path=program, args=["--no-sandbox", *options], env={**os.environ, **(env or {})}
    )
    try:
        yield browser
    finally:
        browser.close()
