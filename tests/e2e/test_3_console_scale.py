"""The console with ten thousand nodes and a thousand messages a second, which a stand-in for /ws tells."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.browsing import enter, visit
from tests.e2e.conftest import Platform

# Beside other tests, not even a list of plain text scrolls as smoothly as an empty page.
pytestmark = pytest.mark.long

NODES = 10_000
ROUNDS = 3
"""The machine has other things to do: the best of so many counts."""
STAND_IN = """
const states = (first, end) => Array.from({length: end - first}, (_, i) => ({
  type: "state", topic: "nodes", key: `node-${first + i}`,
  value: {address: `10.0.${(first + i) >> 8}.${(first + i) & 255}:11434`, up: true, drained: false,
    leaving: false, ejected: false, takes_requests: true, in_flight: Math.floor(Math.random() * 9), slots: 4,
    loaded: ["tiny:latest"], breakers: {}},
}));
window.WebSocket = class {
  constructor() {
    setTimeout(() => {
      this.onopen();
      const tell = (messages) => this.onmessage({data: JSON.stringify(messages)});
      tell([{type: "snapshot", gateway: "gateway-1", topics: ["nodes"], count: NODES}]);
      for (let first = 0; first < NODES; first += 100) tell(states(first, first + 100));
      // As the gateway does: a frame in 16 ms at most.
      window.busy = () => setInterval(() => {
        const first = Math.floor(Math.random() * (NODES - 16));
        tell(states(first, first + 16));
      }, 16);
    });
  }
  close() {}
};
""".replace("NODES", str(NODES))
MEASURE = """async (doing) => {
  const list = document.querySelector(".virtual");
  const long = [];
  const watch = new PerformanceObserver((entries) => long.push(...entries.getEntries()));
  watch.observe({entryTypes: ["longtask"]});
  const started = performance.now();
  const messages = doing === "hearing" ? window.busy() : 0;
  let frames = 0;
  await new Promise((done) => {
    const frame = () => {
      frames++;
      if (doing === "scrolling") list.scrollTop += 97;
      performance.now() - started < 3000 ? requestAnimationFrame(frame) : done();
    };
    requestAnimationFrame(frame);
  });
  clearInterval(messages);
  watch.disconnect();
  return [frames / 3, long.length];
}"""


@pytest.fixture
def nodes(browser: Browser, platform: Platform) -> Iterator[Page]:
    page = enter(browser, platform, platform.key, script=STAND_IN)
    visit(page, "Nodes")
    page.get_by_text(f"{NODES:,} nodes").wait_for()
    yield page
    page.context.close()


@pytest.fixture
def empty(browser: Browser) -> Iterator[Page]:
    page = browser.new_context(viewport={"width": 1360, "height": 860}).new_page()
    yield page
    page.context.close()


def compare(nodes: Page, doing: str, empty: Page) -> tuple[list[float], list[int]]:
    """Return frames a second, and how many tasks took longer than 50 ms, of the list and of an empty page.

    The two take turns, so that whatever else the machine does is done beside both.
    """
    rounds: dict[Page, list[tuple[float, int]]] = {nodes: [], empty: []}
    for _ in range(ROUNDS):
        for page, seen in rounds.items():
            page.bring_to_front()
            seen.append(page.evaluate(MEASURE, doing if page is nodes else None))
    frames = [max(frames for frames, _ in seen) for seen in rounds.values()]
    return frames, [min(long for _, long in seen) for seen in rounds.values()]


def test_a_list_of_ten_thousand_nodes_scrolls_as_smoothly_as_an_empty_page(nodes: Page, empty: Page) -> None:
    (frames, most), _ = compare(nodes, "scrolling", empty)
    assert nodes.evaluate("document.querySelector('.virtual').scrollTop") > 97 * 100
    assert nodes.locator(".virtual [role=row]").count() < 60, "only what is seen is in the document"
    assert frames >= 0.9 * most


def test_a_thousand_messages_a_second_take_no_long_tasks(nodes: Page, empty: Page) -> None:
    _, (long, idle) = compare(nodes, "hearing", empty)
    assert long <= idle
