"""Functions that are translated to machine code: a week has ten million requests."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function as machine code, made at its first call and kept beside its file."""
    return cast(Callable[P, R], njit(cache=True)(function))
