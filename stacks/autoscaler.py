"""Settings of the forecaster: how it foresees the load of the workers, and who is told."""

from typing import Annotated, Literal

from pydantic import Field

from stacks.block import Block, Resources, Seconds


class AutoscalerSettings(Block):
    """The forecaster, which says how many workers will be wanted before one asked for now is ready."""

    observe: bool = True
    """Whether its forecasts are only to be looked at. Where they are not, autoscalers of worker pools have
    them as one trigger more, which can only add workers to what the others ask for."""
    resources: Resources = Resources(memory_mib=256, cpus=0.25)
    """Limits of the forecaster: what it remembers of a pool takes 5 MiB, with ``intervalS`` 5
    six times as much."""
    interval_s: Literal[5, 10, 15, 20, 30, 60] = 30
    """Time between two forecasts, seconds: twice ``monitoring.scrapeIntervalS`` at least, or loads are
    missing."""
    coverage: Annotated[float, Field(ge=0.5, le=0.999)] = 0.98
    """Share of starts during which the load is to stay within the forecast, by the errors that forecasts had:
    this takes the place of a headroom. More costs more workers; the default is what a trace of three days was
    served with."""
    startup_s: Seconds = 300
    """How long a worker takes to be ready, its node included, until three have been timed, seconds."""
    freshness_s: Seconds = 120
    """Age at which a forecast is not used any more, seconds: longer than the pauses between a sample, the
    forecast made of it, and that being read."""
