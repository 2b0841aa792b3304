"""Functions that are translated to machine code: a week has ten million requests."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

from numba import config, njit

P = ParamSpec("P")
R = TypeVar("R")
HERE = Path(__file__).parent


def kept_in(folder: Path) -> Path:
    """Return where machine code made of a folder's files is kept: elsewhere once one of them is another.

    A function has those that it calls built in, from other files too, and numba looks at its own file alone.
    """
    sources = sha256()
    for file in sorted(folder.glob("*.py")):
        sources.update(file.read_bytes())
    return folder / "__pycache__" / f"compiled-{sources.hexdigest()[:16]}"


config.CACHE_DIR = str(kept_in(HERE))  # type: ignore[attr-defined]  # numba sets it as it starts


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function as machine code, made at its first call and kept."""
    return cast(Callable[P, R], njit(cache=True)(function))
