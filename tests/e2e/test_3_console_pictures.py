"""The pictures of the console in the documentation: ``pytest -m long --update-golden`` takes them anew."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.browsing import asking, enter, visit
from tests.e2e.conftest import REPOSITORY, Platform

PICTURES = REPOSITORY / "docs" / "console"
PAST_MS = 90_000
"""What the curves of the pictures go back to: more than a minute, of which gateways write."""


def nodes(page: Page) -> None:
    page.get_by_role("row", name=re.compile("worker-1")).click()


def playground(page: Page) -> None:
    page.get_by_label("Tokens at most").fill("40")
    page.get_by_role("textbox", name="Message").fill("Say something about water")
    page.keyboard.press("Enter")
    page.locator(".log footer").wait_for()


SCENES: dict[str, Callable[[Page], None] | None] = {
    "Dashboard": None,
    "Nodes": nodes,
    "Models": None,
    "Autoscaling": None,
    "Keys": None,
    "Playground": playground,
}
"""Page → what is done on it before it is taken."""


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_every_page_has_its_picture(
    browser: Browser, platform: Platform, scheme: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    folder = PICTURES if pytestconfig.getoption("--update-golden") else tmp_path
    folder.mkdir(exist_ok=True)
    with asking(platform):
        page = enter(browser, platform, platform.key, color_scheme=scheme)
        page.wait_for_timeout(PAST_MS)
        for title, act in SCENES.items():
            visit(page, title)
            if act:
                act(page)
            page.screenshot(path=folder / f"{title.lower()}-{scheme}.png", animations="disabled")
        page.context.close()
    taken = {file.name for file in folder.iterdir()}
    assert {f"{title.lower()}-{scheme}.png" for title in SCENES} <= taken
    named = re.findall(r"console/([\w-]+\.png)", (REPOSITORY / "docs" / "console.md").read_text())
    assert {name for name in named if scheme in name} <= taken
