"""Lists: each entry stands there once."""

from collections.abc import Iterator

from stacks.block import Block
from stacks.settings import Settings


def listed_twice(s: Settings) -> Iterator[str]:
    """No list names a thing twice: it would count twice, or be made twice, which clouds refuse."""
    for path, entries in _lists(s, ""):
        for entry in dict.fromkeys(one for one in entries if entries.count(one) > 1):
            yield f"{path}: {entry} is listed twice"


def _lists(block: Block, path: str) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield every list of plain values with its path."""
    for name, field in type(block).model_fields.items():
        value, here = getattr(block, name), f"{path}{field.alias}"
        if isinstance(value, Block):
            yield from _lists(value, f"{here}.")
        elif isinstance(value, tuple) and value and isinstance(value[0], Block):
            for index, inner in enumerate(value):
                yield from _lists(inner, f"{here}[{getattr(inner, 'name', index)}].")
        elif isinstance(value, tuple):
            yield here, value
