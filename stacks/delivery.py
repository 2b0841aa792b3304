"""Settings of releases: how one is tried, by what it is judged, and how many are kept."""

from typing import Annotated, Literal

from pydantic import Field

from stacks.block import Block, Percent, Seconds

ALL = 100
CANARY = "gateway-canary"
"""The service of the gateways of a release that is being tried, for the program and the commands alike."""
TRIAL = "gateway-trial"
"""On a cluster, the name by which the edges ask for those gateways. It is always there, as nginx does not
start without, and leads to the other gateways while none is tried."""
SWITCHES = "/canary"
"""Folder of an edge in which a file stands for a part of the requests that goes to those gateways. It is
looked at for each request: nothing is loaded anew. On one machine an edge that starts again has none."""
SHARES = "edge-shares"
"""On a cluster, the ConfigMap whose entries are those files: so they hold for every edge. It belongs to no
program, and is there only while a release is tried."""

LOAD = "load"
"""The job that puts load on a stack on a cluster."""


class ReleaseSettings(Block):
    """How a release is tried beside the one before, which it is compared with over the same time."""

    steps_percent: Annotated[tuple[Percent, ...], Field(min_length=1)] = (5, 25, 50, ALL)
    """Shares of the requests that it is given, one after the other, percent; the last is 100."""
    watch_s: Seconds = 60
    """How long each step is watched, seconds: a dozen of ``monitoring.scrapeIntervalS``, each of which gives
    one pair of measurements. Memory needs eight of them to tell a leak from noise."""
    settle_s: Annotated[int, Field(ge=0, le=600)] = 10
    """Time after each change of the share that does not count, seconds: caches and connections are new."""
    slower_percent: Annotated[int, Field(ge=1, le=1000)] = 20
    """By how much the time that gateways typically add to a request may be longer, percent. A new process is
    slower than a warm one at first: less would take good releases back."""
    confidence_percent: Annotated[int, Field(ge=90, le=99)] = 99
    """How sure it has to be that a release is worse, percent, over all looks of all steps together: one good
    release in a hundred is taken back at 99."""
    keep: Annotated[int, Field(ge=2, le=1000)] = 10
    """Releases that can be gone back to, each a copy of the program of some MiB; older ones are removed."""


class CanarySettings(Block):
    """Gateways of a release that is being tried."""

    replicas: Annotated[int, Field(ge=1, le=1000)]
    """How many: at the last step all requests are theirs. ``make release`` takes as many as there are
    others."""


class LoadSettings(Block):
    """Load that a job on the cluster puts on the platform."""

    scenario: Literal["cache", "ramp", "report", "soak", "sockets", "streams"]
    """Which, of ``templates/k6``."""
    seconds: Annotated[int, Field(ge=1, le=7000)]
    """How long, seconds: a job is given up after two hours."""
