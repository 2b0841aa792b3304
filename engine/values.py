"""Property values: between the wire (protobuf Struct), Python, the checkpoint and what people see."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import struct_pb2

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  a type mark of Pulumi's wire format, no secret
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
MASK = "[secret]"

Value = Any
"""None, bool, int, float, str, list, dict or `Secret`; an unknown is the string `UNKNOWN`."""
Properties = dict[str, Value]


@dataclass
class Secret:
    """A value that is encrypted in the checkpoint and masked everywhere else."""

    value: Value
    sealed: str = field(default="", compare=False)  # its ciphertext: what stays the same looks the same

    def __repr__(self) -> str:
        return f"Secret({MASK})"


def secret(value: Value) -> Value:
    """Return `value` as a secret; a secret stays one."""
    return value if isinstance(value, Secret) else Secret(value)


def reveal(value: Value) -> Value:
    """Return `value` with every secret in it opened."""
    return walk(value, lambda found: reveal(found.value))


def walk(value: Value, on_secret: Callable[[Secret], Value]) -> Value:
    """Return a copy of `value`, keys sorted, each outermost secret replaced by what `on_secret` returns."""
    if isinstance(value, Secret):
        return on_secret(value)
    if isinstance(value, dict):
        return {key: walk(value[key], on_secret) for key in sorted(value)}
    if isinstance(value, list):
        return [walk(item, on_secret) for item in value]
    return value


def mask(value: Value) -> Value:
    """Return `value` as it may be shown: each secret is the word [secret]."""
    return walk(value, lambda _: MASK)


def has_secret(value: Value) -> bool:
    """Tell whether a secret is in `value`."""
    return any(isinstance(one, Secret) for one in _parts(value))


def has_unknown(value: Value) -> bool:
    """Tell whether an unknown is in `value`."""
    return UNKNOWN in [one for one in _parts(value) if isinstance(one, str)]


def secret_words(value: Value) -> set[str]:
    """Return the strings that secrets in `value` hold; what is shorter than four characters hides nothing."""
    held = (word for one in _parts(value) if isinstance(one, Secret) for word in _parts(one.value))
    return {word for word in held if isinstance(word, str) and len(word) >= 4 and word != UNKNOWN}


def _parts(value: Value) -> Iterator[Value]:
    """Yield `value` and everything in it, secrets opened."""
    yield value
    opened = [value.value] if isinstance(value, Secret) else value
    inside = opened.values() if isinstance(opened, dict) else opened
    for one in inside if isinstance(value, Secret | dict | list) else ():
        yield from _parts(one)


def steps_of(path: str) -> list[str | int]:
    """Return the steps of a property path like `a.b[0]["c d"]`."""
    found = re.findall(r'\[(\d+)\]|\["(.*?)"\]|([^.\[\]]+)', path)
    return [int(index) if index else key or name for index, key, name in found]


def _spread(value: Value) -> Value:
    """Return a secret list or mapping as one of secrets."""
    if isinstance(value, Secret) and isinstance(value.value, list):
        return [secret(item) for item in value.value]
    if isinstance(value, Secret) and isinstance(value.value, dict):
        return {key: secret(item) for key, item in value.value.items()}
    return value


def at(value: Value, steps: list[str | int]) -> Value:
    """Return what is at `steps`, None when nothing is."""
    for step in steps:
        value = _spread(value)
        if isinstance(value, list):
            value = value[step] if isinstance(step, int) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def graft(value: Value, steps: list[str | int], scion: Value) -> Value:
    """Return `value` with `scion` at `steps`; None takes away what is there."""
    if not steps:
        return scion
    value, (step, *rest) = _spread(value), steps
    inner = graft(at(value, [step]), rest, scion)
    if value is None:
        value = [] if isinstance(step, int) else {}
    if isinstance(value, list) and isinstance(step, int):
        return [*value[:step], *([] if inner is None else [inner]), *value[step + 1 :]]
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if key != step}
        return value if inner is None else value | {step: inner}
    return value


def from_wire(message: struct_pb2.Value | struct_pb2.Struct) -> Value:
    """Decode a protobuf Struct or Value; output values become plain, secret or unknown ones."""
    if isinstance(message, struct_pb2.Struct):
        fields = {key: from_wire(item) for key, item in message.fields.items()}
        mark = fields.get(SIGNATURE)
        if mark not in (SECRET, OUTPUT):
            return fields
        value = fields.get("value", UNKNOWN if mark == OUTPUT else None)
        return secret(value) if mark == SECRET or fields.get("secret") else value
    kind = message.WhichOneof("kind")
    if kind == "number_value":
        number = message.number_value
        return int(number) if number.is_integer() and abs(number) < 1e21 else number
    if kind == "list_value":
        return [from_wire(item) for item in message.list_value.values]
    if kind == "struct_value":
        return from_wire(message.struct_value)
    return None if kind in (None, "null_value") else getattr(message, kind)


def to_wire(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """Encode properties."""

    def mark(found: Secret) -> Value:
        return {SIGNATURE: SECRET, "value": walk(found.value, mark)}

    struct = struct_pb2.Struct()
    struct.update(walk(dict(properties), mark))
    return struct


def freeze(value: Value, encrypt: Callable[[str], str]) -> Value:
    """Encode for the checkpoint."""

    def seal(found: Secret) -> Value:
        if not found.sealed:
            inner = freeze(found.value, encrypt)  # as Pulumi writes it: no spaces, keys sorted, no escapes
            text = json.dumps(inner, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
            found.sealed = encrypt(text)
        return {SIGNATURE: SECRET, "ciphertext": found.sealed}

    return walk(value, seal)


def thaw(value: Value, decrypt: Callable[[str], str]) -> Value:
    """Decode what `freeze` or the CLI wrote; the ciphertexts are kept for the next `freeze`."""
    if isinstance(value, dict) and value.get(SIGNATURE) == SECRET:
        sealed = value.get("ciphertext", "")
        text = decrypt(sealed) if sealed else value["plaintext"]
        return Secret(thaw(json.loads(text), decrypt), sealed)
    if isinstance(value, dict):
        return {key: thaw(item, decrypt) for key, item in value.items()}
    return [thaw(item, decrypt) for item in value] if isinstance(value, list) else value
