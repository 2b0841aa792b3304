"""Property values: between the wire (protobuf Struct), Python, the checkpoint and what people see."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

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


def walk(
    value: Value, on_secret: Callable[[Secret], Value] = secret, on_map: Callable[[Properties], Value] = dict
) -> Value:
    """Return a copy of `value`, keys sorted, secrets and mappings as the functions return them."""
    if isinstance(value, Secret):
        return on_secret(value)
    if isinstance(value, dict):
        return on_map({key: walk(value[key], on_secret, on_map) for key in sorted(value)})
    if isinstance(value, list):
        return [walk(item, on_secret, on_map) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value  # as Go writes it


def reveal(value: Value) -> Value:
    """Return `value` with every secret in it opened."""
    return walk(value, lambda found: reveal(found.value))


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
    inside = [value.value] if isinstance(value, Secret) else value
    if isinstance(inside, dict | list):
        for one in inside.values() if isinstance(inside, dict) else inside:
            yield from _parts(one)


def steps_of(path: str) -> list[str | int]:
    """Return the steps of a property path like `a.b[0]["c d"]`."""
    found = re.findall(r'\[(\d+)\]|\["(.*?)"\]|([^.\[\]]+)', path)
    return [int(index) if index else key or name for index, key, name in found]


def fields(value: Value) -> dict[Any, Value] | None:
    """Return what is in a list or mapping by index or key, secret if that is; None for anything else."""
    inner = value.value if isinstance(value, Secret) else value
    if isinstance(inner, list):
        inner = dict(enumerate(inner))
    if not isinstance(inner, dict):
        return None
    return {key: secret(item) if isinstance(value, Secret) else item for key, item in inner.items()}


def at(value: Value, steps: list[str | int]) -> Value:
    """Return what is at `steps`, None when nothing is."""
    for step in steps:
        value = (fields(value) or {}).get(step)
    return value


def graft(value: Value, steps: list[str | int], scion: Value) -> Value:
    """Return `value` with `scion` at `steps`; None takes away what is there."""
    if not steps:
        return scion
    step, *rest = steps
    found = {} if value is None else fields(value)
    if found is None or scion is at(value, steps) is None:
        return value  # it is unknown, or there is nothing to take away
    found[step] = graft(found.get(step), rest, scion)
    if found[step] is None:
        del found[step]
    return list(found.values()) if isinstance(step, int) else found


def from_wire(struct: Struct) -> Value:
    """Decode a protobuf Struct; output values become plain, secret or unknown ones."""

    def opened(found: Properties) -> Value:
        mark = found.get(SIGNATURE)
        if mark not in (SECRET, OUTPUT):
            return found
        value = found.get("value", UNKNOWN if mark == OUTPUT else None)
        return secret(value) if mark == SECRET or found.get("secret") else value

    return walk(MessageToDict(struct), on_map=opened)


def to_wire(properties: Mapping[str, Value]) -> Struct:
    """Encode properties."""

    def mark(found: Secret) -> Value:
        return {SIGNATURE: SECRET, "value": walk(found.value, mark)}

    struct = Struct()
    struct.update(walk(dict(properties), mark))
    return struct


def freeze(value: Value, encrypt: Callable[[str], str]) -> Value:
    """Encode for the checkpoint."""

    def sealed(found: Secret) -> Value:
        if not found.sealed:
            inner = freeze(found.value, encrypt)  # as Pulumi writes it: no spaces, keys sorted, no escapes
            text = json.dumps(inner, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
            found.sealed = encrypt(text)
        return {SIGNATURE: SECRET, "ciphertext": found.sealed}

    return walk(value, sealed)


def thaw(value: Value, decrypt: Callable[[str], str]) -> Value:
    """Decode what `freeze` or the CLI wrote; the ciphertexts are kept for the next `freeze`."""

    def opened(found: Properties) -> Value:
        if found.get(SIGNATURE) != SECRET:
            return found
        sealed = found.get("ciphertext", "")
        text = decrypt(sealed) if sealed else found["plaintext"]
        return Secret(thaw(json.loads(text), decrypt), sealed)

    return walk(value, on_map=opened)
