"""The generated page about the settings."""

import re
from collections.abc import Iterator
from typing import get_args, get_origin

from pydantic import BaseModel

from ops import settings_page
from stacks.settings import Settings


def paths(block: type[BaseModel], path: str = "") -> Iterator[str]:
    """Yield every setting that is no block, those of optional blocks and of lists of blocks too."""
    for name, field in block.model_fields.items():
        here = f"{path}{field.alias or name}"
        kinds = (field.annotation, *get_args(field.annotation))
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if inner:
            yield from paths(inner[0], f"{here}{'[]' if get_origin(field.annotation) is tuple else ''}.")
        else:
            yield here


def test_every_setting_is_on_the_page_once() -> None:
    rows = re.findall(r"^\| `([\w.\[\]]+)` \|", settings_page.page(), re.MULTILINE)
    assert sorted(rows) == sorted(paths(Settings))


def test_a_row_gives_type_limits_default_and_meaning() -> None:
    assert (
        "| `edge.compression.brotliLevel` | whole number, 0 – 11 | `4` | Brotli's level on the fly (report); "
        "files are compressed ahead at 11. |"
    ) in settings_page.page()


def test_every_budget_is_on_the_page() -> None:
    assert (
        "… (…) × gateway.databasePool.maxOpen (…) = … is more than pool.maxClientConn (…)"
        in settings_page.page()
    )
