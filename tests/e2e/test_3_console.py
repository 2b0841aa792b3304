"""The console in a real browser, on the running platform: what people do in it, what the platform says."""

import re
import threading
from collections.abc import Iterator

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.e2e.browsing import PATIENCE_MS, chromium, enter, visit
from tests.e2e.conftest import Platform
from tests.e2e.waiting import eventually

PAGES = ("Dashboard", "Nodes", "Models", "Autoscaling", "Keys", "Usage", "Playground")
HELLO = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "options": {"num_predict": 8}}
FIRST_PAINT_KIB = 60
"""Compressed, all in all."""


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright, platform: Platform) -> Iterator[Browser]:
    with chromium(playwright, platform) as running:
        yield running


@pytest.fixture
def page(browser: Browser, platform: Platform) -> Iterator[Page]:
    """The console, signed in with the stack's own key; its pages complain of nothing."""
    signed_in = enter(browser, platform, platform.key)
    complaints: list[str] = []
    signed_in.on("pageerror", lambda error: complaints.append(str(error)))
    signed_in.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    signed_in.get_by_text("Live from gateway-").wait_for()
    yield signed_in
    signed_in.context.close()
    # One test is offline; the networks of others come and go.
    expected = ("ERR_INTERNET_DISCONNECTED", "ERR_NETWORK_CHANGED")
    assert [one for one in complaints if not any(error in one for error in expected)] == []


def ask(platform: Platform, method: str, path: str, key: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key or platform.key}"}
    return httpx.request(method, f"{platform.url}{path}", headers=headers, verify=platform.trust, timeout=30)


def node(platform: Platform, name: str) -> dict[str, object]:
    nodes = ask(platform, "GET", "/api/v1/nodes").json()["nodes"]
    return next(one for one in nodes if one["name"] == name)


def test_a_key_that_is_not_good_is_refused_in_the_platforms_own_words(
    browser: Browser, platform: Platform
) -> None:
    page = enter(browser, platform, "omx_wrong")
    said = ask(platform, "GET", "/api/v1/openapi.json", "omx_wrong").json()["error"]
    expect(page.get_by_role("alert")).to_have_text(said)
    page.context.close()


def test_the_key_is_kept_for_the_session_alone(page: Page, platform: Platform) -> None:
    page.reload()
    page.get_by_text("Live from gateway-").wait_for()
    other = page.context.new_page()
    other.goto(f"{platform.url}/console/")
    expect(other.get_by_label("API key")).to_be_visible()
    assert platform.key not in page.evaluate("JSON.stringify({...localStorage}) + document.cookie")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_the_dashboard_shows_requests_as_they_come(page: Page, platform: Platform) -> None:
    # Each gateway tells what it does itself: all of them get requests, the followed one too.
    stop = threading.Event()

    def load() -> None:
        with httpx.Client(verify=platform.trust, headers=platform.headers, timeout=60) as client:
            while not stop.is_set():
                client.post(f"{platform.url}/api/chat", json=HELLO)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        requests = page.locator(".tile", has=page.get_by_role("heading", name="Requests")).locator(".value")
        expect(requests).to_have_text(re.compile(r"^(0\.[1-9]|[1-9])"), timeout=PATIENCE_MS)
        first = page.locator(".tile", has=page.get_by_role("heading", name="Time to first token")).locator(
            ".value"
        )
        expect(first).to_have_text(re.compile(r"\d m?s$"), timeout=PATIENCE_MS)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_node_is_drained_and_taken_in_again(page: Page, platform: Platform) -> None:
    visit(page, "Nodes")
    page.get_by_role("row", name=re.compile("worker-1")).click()
    page.get_by_role("button", name="Drain…").click()
    page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    expect(page.get_by_role("row", name=re.compile("worker-1"))).to_contain_text("drain")
    assert node(platform, "worker-1")["drained"] is True
    page.get_by_role("button", name="Take it in again").click()
    expect(page.get_by_role("row", name=re.compile("worker-1"))).to_contain_text("serving")
    assert node(platform, "worker-1")["drained"] is False


def test_a_list_of_nodes_is_walked_by_keys(page: Page) -> None:
    visit(page, "Nodes")
    page.keyboard.press("/")
    page.keyboard.type("worker-2")
    expect(page.get_by_role("row")).to_have_count(2)
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.get_by_role("row", name=re.compile("worker-1")).focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("row", name=re.compile("worker-2"))).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary", name="Node worker-2")).to_be_visible()


def test_a_pull_that_fails_says_why(page: Page) -> None:
    visit(page, "Models")
    page.get_by_label("Model to pull").fill("localhost:1/no/such:model")
    page.get_by_role("button", name="Pull", exact=True).click()
    failed = page.get_by_role("list", name="Pulls").get_by_role("listitem")
    expect(failed.locator(".state.bad")).to_be_visible(timeout=60_000)


def test_an_alias_changes_hands_and_answers_in_the_playground(page: Page) -> None:
    visit(page, "Models")
    page.get_by_role("button", name="New alias…").click()
    page.get_by_role("textbox", name="Name").fill("hand")
    page.get_by_label("Model 1", exact=True).fill("tiny:latest")
    page.get_by_role("button", name="Load and change").click()
    expect(page.get_by_role("row", name=re.compile("hand:latest"))).to_contain_text("100 % tiny:latest")
    visit(page, "Playground")
    page.get_by_role("combobox", name="Model").select_option("hand:latest")
    page.get_by_label("Tokens at most").fill("16")
    page.get_by_role("textbox", name="Message").fill("hello")
    page.keyboard.press("Enter")
    expect(page.locator(".log footer")).to_contain_text("by tiny:latest", timeout=60_000)
    expect(page.locator(".log footer")).to_contain_text("tokens")
    visit(page, "Models")
    page.get_by_role("row", name=re.compile("hand:latest")).get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("row", name=re.compile("hand:latest"))).to_have_count(0)


def test_a_key_is_made_shown_once_and_revoked(page: Page, platform: Platform) -> None:
    visit(page, "Keys")
    page.get_by_role("button", name="New key…").click()
    page.get_by_label("Name").fill("from-a-browser")
    page.get_by_role("button", name="Make it").click()
    secret = page.locator(".secret code").inner_text()
    assert ask(platform, "GET", "/api/tags", secret).status_code == 200
    page.get_by_role("button", name="I have it").click()
    expect(page.get_by_text(secret)).to_have_count(0)
    page.get_by_role("button", name="Revoke from-a-browser").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name=re.compile("from-a-browser"))).to_have_count(0)
    gateways = 2
    eventually(
        lambda: {ask(platform, "GET", "/api/tags", secret).status_code for _ in range(2 * gateways)} == {401},
        10,
        "no gateway takes it any more",
    )


def test_without_the_platform_the_console_opens_with_what_was_known_last(page: Page) -> None:
    for title in ("Nodes", "Models"):
        visit(page, title)
    expect(page.get_by_role("row", name=re.compile("tiny:latest"))).to_be_visible()
    page.evaluate("navigator.serviceWorker.ready")
    kept = "caches.open('ollamamax-last').then((store) => store.match('./last/live')).then(Boolean)"
    eventually(lambda: bool(page.evaluate(kept)), 30, "what is live is kept")
    page.context.set_offline(True)
    page.reload()
    expect(page.get_by_role("status").filter(has_text="as it was at")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("tiny:latest"))).to_be_visible()
    visit(page, "Nodes")
    expect(page.get_by_role("row", name=re.compile("worker-1"))).to_be_visible()
    page.context.set_offline(False)
    page.get_by_text("Live from gateway-").wait_for(timeout=40_000)


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_nothing_to_complain_of(browser: Browser, platform: Platform, scheme: str) -> None:
    page = enter(browser, platform, platform.key, color_scheme=scheme)
    page.get_by_text("Live from gateway-").wait_for()
    found = {}
    for title in PAGES:
        visit(page, title)
        found[title] = [
            (one["id"], one["nodes"][0]["html"]) for one in Axe().run(page).response["violations"]
        ]
    page.context.close()
    assert found == {title: [] for title in PAGES}


def test_what_the_first_paint_takes_is_small_and_comes_over_http3(
    playwright: Playwright, platform: Platform
) -> None:
    with chromium(playwright, platform, f"--origin-to-force-quic-on=localhost:{platform.port}") as browser:
        page = enter(browser, platform, platform.key, service_workers="block")
        page.locator(".tiles, .empty").first.wait_for()
        loaded = page.evaluate(
            """() => ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type))
                .map((one) => [one.name, one.nextHopProtocol, one.encodedBodySize])"""
        )
        page.context.close()
    console = [one for one in loaded if "/console/" in one[0]]
    assert {protocol for _, protocol, _ in console} == {"h3"}
    assert sum(size for *_, size in console) <= FIRST_PAINT_KIB * 1024, console
