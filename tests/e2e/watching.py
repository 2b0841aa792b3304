"""What the platform's watchers say: Prometheus what it measures, Alertmanager what people are told."""

from typing import Any

import httpx

from tests.e2e.conftest import Platform

PARTS = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}
"""Kind of a metric → endings of its series."""


class Watchers:
    """Prometheus and Alertmanager of a platform."""

    def __init__(self, platform: Platform) -> None:
        self._pages = platform.checkout.outputs()["dashboards"]
        self._client = httpx.Client(
            auth=(self._pages["user"], self._pages["password"]), verify=platform.trust, timeout=30
        )

    def ask(self, page: str, path: str, **query: str) -> Any:
        """Return what a page answers."""
        answer = self._client.get(f"{self._pages[page]}{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression, now."""
        found: list[dict[str, Any]] = self.ask("prometheus", "/api/v1/query", query=expression)["data"][
            "result"
        ]
        return found

    def metrics(self) -> set[str]:
        """Return the names of all that is emitted, of what has happened yet and of what has not."""
        described: dict[str, list[dict[str, str]]] = self.ask("prometheus", "/api/v1/metadata")["data"]
        series = {
            name + ending
            for name, kinds in described.items()
            for kind in kinds
            for ending in PARTS.get(kind["type"], ())
        }
        recorded = self.ask("prometheus", "/api/v1/label/__name__/values")["data"]
        return series | described.keys() | set(recorded)

    def told(self) -> set[str]:
        """Return the alerts that people are told of: those that nothing worse keeps quiet."""
        alerts = self.ask("alertmanager", "/api/v2/alerts", active="true", inhibited="false")
        return {alert["labels"]["alertname"] for alert in alerts if alert["status"]["state"] == "active"}

    def close(self) -> None:
        """End the connections."""
        self._client.close()
