"""Load as Prometheus has recorded it."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ollamamax_autoscaler import web
from ollamamax_autoscaler.configuration import PrometheusBlock

LOAD = "pool:ollamamax_load:max"
"""What its rules record for every pool: slots that are taken or waited for."""
MOST_POINTS = 10_000
"""A little less than one answer may hold."""


class Prometheus:
    """The stack's Prometheus."""

    def __init__(self, settings: PrometheusBlock) -> None:
        """Read the password and the authority's certificate.

        Raises:
            OSError: if one of their files cannot be read.
        """
        self._url = settings.url
        self._context = web.trusting(Path(settings.ca))
        account = f"{settings.user}:{Path(settings.password_file).read_text().strip()}"
        self._headers = {"Authorization": f"Basic {base64.b64encode(account.encode()).decode()}"}

    def now(self) -> float:
        """Return its time, unix seconds: samples, forecasts and the age of these are told by one clock.

        Raises:
            UnavailableError: if it does not answer.
        """
        found = self._ask("query", {"query": "time()"})
        try:
            return float(found["result"][1])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise web.UnavailableError(f"the answer is no time: {found}") from error

    def loads(self, pool: str, start: int, end: int, step: int) -> Mapping[int, float]:
        """Return the mean load of each step from ``start`` to ``end``, by its time.

        Raises:
            UnavailableError: if it does not answer.
        """
        query = f'avg_over_time({LOAD}{{pool="{pool}"}}[{step}s])'
        found = self._ask("query_range", {"query": query, "start": start, "end": end, "step": step})
        try:
            series = found["result"]
            return {round(at): float(value) for one in series for at, value in one["values"]}
        except (KeyError, TypeError, ValueError) as error:
            raise web.UnavailableError("the answer is no series of samples") from error

    def _ask(self, api: str, question: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
        answer = web.get(f"{self._url}/api/v1/{api}?{urlencode(question)}", self._headers, self._context)
        try:
            return answer["data"]
        except (KeyError, TypeError) as error:
            raise web.UnavailableError("the answer is not Prometheus's") from error
