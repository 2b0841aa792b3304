"""What the SDK's own classes say of a resource: its inputs and outputs, their types, what must be there."""

from __future__ import annotations

import collections.abc
import functools
import importlib.util
import inspect
import re
import sys
import threading
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi import Output, _types

from engine.provider import ProviderError

_IMPORTS = threading.Lock()  # the SDK's lazy modules are half there while another thread imports them
_NESTED = ("_inputs", "outputs")
_WORDS = re.compile(r"Available values: (.*)")


@dataclass(frozen=True)
class Property:
    """One property of a class: its name in Python, its type, and what its description allows.

    `limits` has the form of a shape in the cloud's API models; only Cloudflare's descriptions have any.
    """

    python: str
    kind: Any
    required: bool = False
    limits: Mapping[str, Any] | None = None


@functools.cache
def resource(token: str) -> type:
    """Return the SDK's class of a type token, `aws:eks/cluster:Cluster`."""
    package, module, name = token.split(":")
    area, _, kind = module.partition("/")
    place, alone = (re.sub("(?=[A-Z])", "_", kind).lower(), name) if area == "index" else (area, "")
    try:
        return typing.cast(type, getattr(part(package, place, alone), name))
    except (ImportError, AttributeError) as error:
        raise ProviderError(f"{token} is no resource type of the installed pulumi-{package}") from error


def part(package: str, name: str, kind: str = "") -> types.ModuleType:
    """Return a module of a package's SDK; where one file has the nested classes of all, with those of `kind`.

    All else stays out: Cloudflare's has 3,000 classes, which take longer than the rest of a preview's checks.
    """
    whole = f"pulumi_{package}"
    with _IMPORTS:
        spec = None if whole in sys.modules else importlib.util.find_spec(whole)
        aside = {whole: importlib.util.module_from_spec(spec)} if spec else {}
        sys.modules.update(aside)
        try:
            for nested in _NESTED if spec and kind else ():
                aside[f"{whole}.{nested}"] = _excerpt(aside[whole], nested, kind)
            return importlib.import_module(f"{whole}.{name}")
        finally:
            for one in aside:
                del sys.modules[one]


def _excerpt(package: types.ModuleType, name: str, kind: str) -> types.ModuleType:
    """Put in place of a package's module one with the classes alone whose names begin with `kind`."""
    whole, (imports, *classes) = (
        f"{package.__name__}.{name}",
        _definitions(Path(package.__path__[0], f"{name}.py")),
    )
    found = types.ModuleType(f"{whole} of {kind}")
    found.__package__ = package.__name__
    sys.modules |= {whole: found, found.__name__: found}  # the classes say that they come from the latter
    theirs = re.compile(rf"@pulumi\.\w+_type\nclass {kind}")
    text = "\n".join([imports.partition("\n__all__ =")[0], *filter(theirs.match, classes)])
    exec(compile(text, whole, "exec"), vars(found))  # noqa: S102 - the SDK's own text
    return found


@functools.cache
def _definitions(file: Path) -> list[str]:
    """Return the text of each class in a file, after what comes before them."""
    return re.split(r"\n\n(?=@|class )", file.read_text())


def arguments(cls: type) -> type:
    """Return the class of a resource's inputs; where a nested one has its name, it has another."""
    module, name = sys.modules[cls.__module__], cls.__name__
    return typing.cast(type, getattr(module, f"{name}InitArgs", None) or getattr(module, f"{name}Args"))


@functools.cache
def inputs(cls: type) -> Mapping[str, Property]:
    """Return the properties of a class of inputs by their names on the wire."""
    kinds, parameters = _types.input_type_types(cls), inspect.signature(cls).parameters
    return {
        wire: Property(
            python, unwrapped(kinds[wire]), parameters[python].default is inspect.Parameter.empty,
            _described(inspect.getdoc(getattr(cls, python)) or ""),
        )
        for python, wire in _types.input_type_py_to_pulumi_names(cls).items()
    }  # fmt: skip


@functools.cache
def outputs(cls: type) -> Mapping[str, Property]:
    """Return the outputs of a resource or the properties of a nested output; required ones are never null."""
    hints, names = _types._raw_return_hints(cls), _types.resource_pulumi_to_py_names(cls)
    return {wire: Property(names[wire], unwrapped(hint), not _optional(hint)) for wire, hint in hints.items()}


def is_object(kind: Any) -> bool:
    """Tell whether a type is a class with properties of its own."""
    return isinstance(kind, type) and (_types.is_input_type(kind) or _types.is_output_type(kind))


def unwrapped(kind: Any) -> Any:
    """Return the type behind `Input`, `Output` and `Optional`; of several forms the first."""
    if typing.get_origin(kind) is Output:
        return unwrapped(typing.get_args(kind)[0])
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return kind
    origins = (Output, collections.abc.Awaitable)
    forms = [one for one in typing.get_args(kind) if typing.get_origin(one) not in origins]
    return unwrapped(next(one for one in forms if one is not types.NoneType))


def _optional(hint: Any) -> bool:
    inner = typing.get_args(hint)[0] if typing.get_origin(hint) is Output else hint
    return types.NoneType in typing.get_args(inner)


def _described(text: str) -> Mapping[str, Any] | None:
    found = _WORDS.search(text)
    words = re.findall(r'"(.*?)"', found[1].replace("*", "_")) if found else []  # * is an escaped _ there
    return {"type": "string", "enum": words} if words else None
