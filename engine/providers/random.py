"""The random package as pulumi-random 4.21 shows it: values made once and kept in the state."""

from __future__ import annotations

import secrets
import string
from typing import ClassVar

import bcrypt

from engine.provider import Context, Resource
from engine.values import Properties, Secret

SETS = {
    "upper": string.ascii_uppercase, "lower": string.ascii_lowercase, "numeric": string.digits,
    "special": "!@#$%&*()-_=+[]{}<>:?",
}  # fmt: skip


class RandomPassword(Resource):
    """Characters from chosen sets; secret, with their bcrypt hash."""

    inputs: ClassVar = {"keepers": dict, "length": int, **dict.fromkeys(SETS, bool)}

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Draw the characters."""
        chosen = {name: inputs.get(name, True) for name in SETS}
        characters = "".join(SETS[name] for name in SETS if chosen[name])
        if not characters or inputs["length"] < 1:
            raise ctx.error("length must be 1 or more" if characters else "no character set is chosen")
        drawn = "".join(secrets.choice(characters) for _ in range(inputs["length"]))
        hashed = bcrypt.hashpw(drawn.encode()[:72], bcrypt.gensalt(10, b"2a")).decode()
        return "none", {
            **dict.fromkeys(("minLower", "minNumeric", "minSpecial", "minUpper"), 0),
            **chosen, **inputs, "number": chosen["numeric"], "id": "none", "result": Secret(drawn),
            "bcryptHash": Secret(hashed), "__meta": '{"schema_version":"3"}',
        }  # fmt: skip
