"""The console in a real browser, on the running platform: what people do in it, what the platform says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.e2e.browsing import asking, enter, visit
from tests.e2e.conftest import STACK, Platform
from tests.e2e.registry import registry
from tests.e2e.waiting import eventually

PAGES = ("Dashboard", "Nodes", "Models", "Autoscaling", "Keys", "Usage", "Playground")


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


def ask(platform: Platform, method: str, path: str, key: str | None = None, **body: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key or platform.key}"}
    with httpx.Client(headers=headers, verify=platform.trust, timeout=30) as client:
        return client.request(method, f"{platform.url}{path}", json=body or None)


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
    def value(tile: str) -> Locator:
        return page.locator(".tile", has=page.get_by_role("heading", name=tile)).locator(".value")

    with asking(platform):
        expect(value("Requests")).to_have_text(re.compile(r"^(0\.[1-9]|[1-9])"))
        expect(value("Time to first token")).to_have_text(re.compile(r"\d m?s$"))
        expect(value("Tokens")).to_have_text(re.compile(r"^[1-9]"))


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


def test_a_pull_shows_how_far_it_is_and_ends_with_the_model_on_every_node(
    page: Page, platform: Platform, tmp_path: Path
) -> None:
    def plainly(route: Route) -> None:
        asked = json.loads(route.request.post_data or "")
        route.continue_(post_data=json.dumps({**asked, "insecure": True}))

    # No worker would trust the certificate of a registry that a test makes.
    page.route("**/api/pull", plainly)
    visit(page, "Models")
    with registry(f"ollamamax-{STACK}", tmp_path) as model:
        page.get_by_label("Model to pull").fill(model)
        page.get_by_role("button", name="Pull", exact=True).click()
        pulled = page.get_by_role("list", name="Pulls").get_by_role("listitem")
        expect(pulled).to_contain_text(re.compile(r"MiB of 24\.\d MiB"))
        expect(pulled.locator(".state.ok")).to_have_text("success", timeout=60_000)
    cells = page.get_by_role("row", name=re.compile("pulled:latest")).get_by_role("cell")
    expect(cells.nth(3)).to_have_text("2")  # nodes
    assert ask(platform, "DELETE", "/api/delete", model=model).status_code == 200


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
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
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

    def complaints() -> list[tuple[str, str]]:
        violations = Axe().run(page).response["violations"]
        return [(one["id"], one["nodes"][0]["html"]) for one in violations]

    found = {}
    for title in PAGES:
        visit(page, title)
        found[title] = complaints()
    visit(page, "Nodes")
    page.get_by_role("row", name=re.compile("worker-1")).click()
    page.get_by_role("button", name="Drain…").click()
    found["dialog"] = complaints()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("API key").wait_for()
    found["Sign in"] = complaints()
    page.context.close()
    assert not any(found.values()), found
