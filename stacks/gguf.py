"""Reads the header of a GGUF file: the shape of the model in it, without its weights.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from stacks.models import Model

MAGIC = b"GGUF"
VERSIONS = (2, 3)
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Type of a number → its form for ``struct``."""
STRING = 8
ARRAY = 9


class GgufError(Exception):
    """The file is no GGUF that describes a whole model; the message says what is wrong with it."""


Value = int | float | str | list["Value"]


@dataclass
class _Reader:
    """Takes values off a file, and never trusts a length further than the file goes."""

    file: BinaryIO
    size: int

    def take(self, count: int) -> bytes:
        if count > self.size - self.file.tell():
            raise GgufError("ends in the middle of its header")
        return self.file.read(count)

    def unpack(self, form: str) -> Any:  # noqa: ANN401 - what the form says
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0]

    def number(self, form: str) -> int:
        return int(self.unpack(form))

    def text(self) -> str:
        return self.take(self.number("Q")).decode(errors="replace")

    def value(self, kind: int) -> Value:
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            inner, count = self.number("I"), self.number("Q")
            return [self.value(inner) for _ in range(count)]
        if kind not in NUMBERS:
            raise GgufError(f"holds a value of unknown type {kind}")
        value: int | float = self.unpack(NUMBERS[kind])
        return value

    def skip_tensor(self) -> None:
        self.text()
        dimensions = self.number("I")
        self.take(8 * dimensions + 4 + 8)  # dimensions, type, offset


def read(path: Path) -> Model:
    """Return the shape of the model in the file at ``path``.

    Raises:
        GgufError: saying what is wrong with the file.
        OSError: if it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        reader = _Reader(file, size)
        if size < len(MAGIC) or reader.take(len(MAGIC)) != MAGIC:
            raise GgufError("is no GGUF file")
        version = reader.number("I")
        if version not in VERSIONS:
            raise GgufError(f"is GGUF version {version}: versions {VERSIONS[0]} and {VERSIONS[1]} are read")
        tensors, count = reader.number("Q"), reader.number("Q")
        values = {reader.text(): reader.value(reader.number("I")) for _ in range(count)}
        for _ in range(tensors):
            reader.skip_tensor()
        return _model(values, size - file.tell())


def _model(values: dict[str, Value], weights: int) -> Model:
    if values.get("split.count", 1) not in (0, 1):
        raise GgufError("is one part of a model that was split: give the merged file")
    architecture = values.get("general.architecture")

    def number(name: str, default: int | None = None) -> int:
        value = values.get(f"{architecture}.{name}", default)
        if isinstance(value, list):  # one a layer
            value = max((entry for entry in value if isinstance(entry, int)), default=None)
        if not isinstance(value, int) or value < 1:
            raise GgufError(f"says nothing of {architecture}.{name}")
        return value

    heads, width = number("attention.head_count"), number("embedding_length")
    return Model(
        weights=weights,
        layers=number("block_count"),
        heads=heads,
        kv_heads=number("attention.head_count_kv", heads),
        head_size=number("attention.key_length", width // heads),
        width=width,
        context=number("context_length"),
    )
