"""What the simulated cloud makes values from: the inputs, the place, and tokens that follow from the URN.

Texts are format strings over the facts; `{hex:17}` is 17 hexadecimal digits and `{hex:17b}` are 17 others,
the same each time for one resource.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.simulated.cloud import Cloud

_ALPHABETS = {
    "hex": "0123456789abcdef", "HEX": "0123456789ABCDEF", "digits": "0123456789",
    "lower": "abcdefghijklmnopqrstuvwxyz0123456789", "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
}  # fmt: skip


class Facts(dict[str, Any]):
    """What texts are made from; `seed` tells two resources, or two of one URN, apart."""

    def __init__(self, known: Mapping[str, Any], seed: str, cloud: Cloud) -> None:
        super().__init__(known, uuid=_Uuid(seed), **{key: _Token(seed, key) for key in _ALPHABETS})
        self.seed, self.cloud = seed, cloud

    def __missing__(self, key: str) -> str:
        return ""

    def text(self, template: str) -> str:
        """Fill in a text."""
        return template.format_map(self)

    def fill(self, form: Any) -> Any:
        """Fill in all texts of a form."""
        if callable(form):
            return form(self)
        if isinstance(form, dict):
            return {key: self.fill(item) for key, item in form.items()}
        if isinstance(form, list):
            return [self.fill(item) for item in form]
        return self.text(form) if isinstance(form, str) else form


@dataclass(frozen=True)
class _Token:
    seed: str
    alphabet: str

    def __format__(self, spec: str) -> str:
        letters, length = _ALPHABETS[self.alphabet], int(re.match(r"\d+", spec or "8")[0])  # type: ignore[index]
        number = int.from_bytes(hashlib.shake_256(f"{self.seed} {spec}".encode()).digest(length + 8), "big")
        found = ""
        for _ in range(length):
            number, index = divmod(number, len(letters))
            found += letters[index]
        return found


@dataclass(frozen=True)
class _Uuid:
    seed: str

    def __format__(self, spec: str) -> str:
        found = format(_Token(self.seed, "hex"), f"32uuid{spec}")
        return f"{found[:8]}-{found[8:12]}-4{found[13:16]}-a{found[17:20]}-{found[20:]}"
