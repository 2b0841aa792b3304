"""The configuration file: strict, and every problem of it reported at once."""

import math
import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from ollamamax_autoscaler.forecast import Parameters

NAME = r"[a-z]([a-z0-9-]*[a-z0-9])?"
DAY_S = 86_400


class ConfigurationError(Exception):
    """The file describes nothing to do; the message holds one line a problem."""


def within(least: float, most: float = math.inf) -> Any:  # noqa: ANN401 - a field has its value's type
    """Return a field for a number within limits."""

    def check(value: float) -> str | None:
        if value > most:
            return f"{value} is more than {most}"
        return None if value >= least else f"{value} is less than {least}"

    return _checked(check)


def written(pattern: str, words: str) -> Any:  # noqa: ANN401 - as above
    """Return a field for a text of a form, which ``words`` describe."""
    return _checked(lambda value: None if re.fullmatch(pattern, value) else f"{value!r} is not {words}")


def _checked(check: Callable[[Any], str | None]) -> Any:  # noqa: ANN401 - as above
    return field(metadata={"check": check})


def _interval(seconds: int) -> str | None:
    if 0 < seconds <= Parameters.block_s and Parameters.block_s % seconds == 0:
        return None
    return f"{seconds} does not divide {Parameters.block_s}"


@dataclass(frozen=True)
class PrometheusBlock:
    """Where load is read."""

    ca: str
    """File with the certificate of its authority."""
    user: str
    password_file: str
    url: str = written(r"https?://[^/]+", "an address without a path, such as https://prometheus:9090")


@dataclass(frozen=True)
class ClusterBlock:
    """How the API server is asked how long workers take to start."""

    account: str
    """Folder with the token, the certificate of the authority, and the namespace."""


@dataclass(frozen=True)
class PoolBlock:
    """A pool of workers."""

    name: str = written(NAME, "a name of small letters, digits and dashes")
    """As metrics call it."""
    service: str = written(NAME, "a name of small letters, digits and dashes")
    """As its pods are labelled."""
    slots: int = within(1)
    """Requests that one worker serves at once."""
    least: int = within(0)
    """Fewest workers."""
    most: int = within(1)
    """Most workers: no forecast asks for more."""
    target: float = within(0.01, 1)
    """Share of the slots that the other triggers keep busy: what a forecast adds is told against that."""


@dataclass(frozen=True)
class Configuration:
    """The whole file."""

    prometheus: PrometheusBlock
    pools: tuple[PoolBlock, ...]
    exact: bool
    """Whether the cluster acts on differences of less than a tenth; else a forecast steps over them."""
    interval_s: int = _checked(_interval)
    """Time between two forecasts, and that one observation stands for."""
    startup_s: int = within(1, DAY_S)
    """What a start takes until some have been measured."""
    reaction_s: int = within(0, DAY_S)
    """What passes between a load and the request for a worker: scraping, forecasting, autoscaling."""
    coverage: float = within(0.5, 0.999)
    """Share of horizons whose most load a forecast is to hold."""
    cluster: ClusterBlock | None = None


def load(file: Path) -> Configuration:
    """Return what ``file`` says.

    Raises:
        ConfigurationError: naming every unknown key and bad value, or why the file cannot be read.
    """
    try:
        text = file.read_text()
    except OSError as error:
        raise ConfigurationError(f"configuration file: {file}: {error.strerror}") from error
    return parse(text)


def parse(text: str) -> Configuration:
    """Return what a configuration says.

    Raises:
        ConfigurationError: naming every unknown key and bad value.
    """
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"configuration is not YAML: {error}") from error
    problems: list[str] = []
    found = _value(Configuration, given, "configuration", problems)
    if problems:
        raise ConfigurationError("\n".join(sorted(problems)))
    assert isinstance(found, Configuration)  # noqa: S101 - or there was a problem
    return found


def _value(kind: Any, given: object, path: str, problems: list[str]) -> object:  # noqa: ANN401 - any type
    """Return what ``given`` stands for as a ``kind``, if nothing is wrong with it."""
    if is_dataclass(kind):
        if isinstance(given, dict):
            return _block(kind, given, "" if path == "configuration" else f"{path}.", problems)
        problems.append(f"{path}: is not a block of settings")
    elif inner := [one for one in get_args(kind) if is_dataclass(one)]:
        if type(None) in get_args(kind):
            return _value(inner[0], given, path, problems)
        if isinstance(given, list) and given:
            return tuple(
                _value(inner[0], one, f"{path}.{index}", problems) for index, one in enumerate(given)
            )
        problems.append(f"{path}: is not a list with an entry")
    elif kind is float and type(given) is int:
        return float(given)
    elif type(given) is not kind:
        words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
        problems.append(f"{path}: {given!r} is not {words[kind]}")
    return given


def _block(kind: Any, given: dict[object, object], path: str, problems: list[str]) -> object:  # noqa: ANN401
    """Return a block with the values ``given``, if nothing is wrong with them."""
    kinds, known, values, before = get_type_hints(kind), {}, {}, len(problems)
    for one in fields(kind):
        head, *rest = one.name.split("_")
        known[head + "".join(map(str.capitalize, rest))] = one
    problems += [f"{path}{key}: unknown setting" for key in given if key not in known]
    for key, one in known.items():
        if key in given:
            faults = len(problems)
            values[one.name] = value = _value(kinds[one.name], given[key], f"{path}{key}", problems)
            if faults == len(problems) and (wrong := one.metadata.get("check", lambda _: None)(value)):
                problems.append(f"{path}{key}: {wrong}")
        elif one.default is MISSING:
            problems.append(f"{path}{key}: is missing")
    return None if len(problems) > before else kind(**values)
