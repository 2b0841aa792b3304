# ruff: noqa: RUF012 - class attributes are constants
"""The random package as pulumi-random 4.21 shows it: values made once and kept in the state."""

from __future__ import annotations

import base64
import secrets
import string
import uuid

import bcrypt
import pulumi_random as sdk

from engine.provider import Context, Provider, ProviderError, token
from engine.providers.bridge import Framework
from engine.values import Properties, Secret

ZEROS = {"minLower": 0, "minNumeric": 0, "minSpecial": 0, "minUpper": 0}


class RandomString(Framework):
    """Characters from chosen sets."""

    args, sdk, schema_version = sdk.RandomStringArgs, sdk.RandomString, 2
    defaults = {**dict.fromkeys(("lower", "number", "numeric", "special", "upper"), True), **ZEROS}

    def comparable(self, values: Properties) -> Properties:
        """`number` is the old name of `numeric`."""
        numeric = values.get("numeric", values.get("number", True))
        return {**values, "numeric": numeric, "number": numeric}

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Draw the characters."""
        values = {**self.defaults, **self.comparable(inputs)}
        sets = {
            "Upper": string.ascii_uppercase,
            "Lower": string.ascii_lowercase,
            "Numeric": string.digits,
            "Special": values.get("overrideSpecial") or "!@#$%&*()-_=+[]{}<>:?",
        }
        everything = "".join(characters for name, characters in sets.items() if values[name.lower()])
        drawn = [secrets.choice(sets[name]) for name in sets for _ in range(values[f"min{name}"])]
        if not everything or len(drawn) > values["length"]:
            reason = (
                "no character set is chosen"
                if not everything
                else f"length is less than {len(drawn)}, the sum of the minima"
            )
            raise ProviderError(f'{ctx.type} "{ctx.name}": {reason}')
        drawn += [secrets.choice(everything) for _ in range(values["length"] - len(drawn))]
        secrets.SystemRandom().shuffle(drawn)
        return self._result({**values, "result": "".join(drawn)})

    def _result(self, values: Properties) -> tuple[str, Properties]:
        return values["result"], self.state({**values, "id": values["result"]})


class RandomPassword(RandomString):
    """A string that is secret, with its bcrypt hash."""

    args, sdk, schema_version = sdk.RandomPasswordArgs, sdk.RandomPassword, 3  # type: ignore[assignment]

    def _result(self, values: Properties) -> tuple[str, Properties]:
        password = values["result"].encode()
        hashed = bcrypt.hashpw(password[:72], bcrypt.gensalt(10, b"2a")).decode()
        secret = {"bcryptHash": Secret(hashed), "result": Secret(values["result"])}
        return "none", self.state({**values, **secret, "id": "none"})


class RandomId(Framework):
    """Bytes, in several spellings."""

    args, sdk = sdk.RandomIdArgs, sdk.RandomId

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Draw the bytes."""
        drawn, prefix = secrets.token_bytes(inputs["byteLength"]), inputs.get("prefix", "")
        url = base64.urlsafe_b64encode(drawn).decode().rstrip("=")
        spelled = {
            "b64Std": base64.b64encode(drawn).decode(),
            "b64Url": url,
            "dec": str(int.from_bytes(drawn)),
            "hex": drawn.hex(),
        }
        values = {name: prefix + value for name, value in spelled.items()}
        return url, self.state({**inputs, **values, "id": url})


class RandomBytes(Framework):
    """Secret bytes."""

    args, sdk = sdk.RandomBytesArgs, sdk.RandomBytes

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Draw the bytes."""
        drawn = secrets.token_bytes(inputs["length"])
        text = base64.b64encode(drawn).decode()
        return text, self.state({**inputs, "base64": Secret(text), "hex": Secret(drawn.hex())})


class RandomUuid(Framework):
    """A random UUID."""

    args, sdk = sdk.RandomUuidArgs, sdk.RandomUuid

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Draw it."""
        drawn = str(uuid.uuid4())
        return drawn, self.state({**inputs, "id": drawn, "result": drawn})


class RandomProvider(Provider):
    """The random package."""

    name, version = "random", "4.21.4"

    def __init__(self) -> None:
        kinds = (RandomBytes(), RandomId(), RandomPassword(), RandomString(), RandomUuid())
        super().__init__({token("random", type(one).__name__): one for one in kinds})
