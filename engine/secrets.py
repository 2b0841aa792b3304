"""The passphrase secrets provider: AES-256-GCM with a key from PBKDF2-HMAC-SHA256, as Pulumi's."""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from engine.errors import EngineError

ITERATIONS = 1_000_000  # rounds of PBKDF2, part of the `v1` format
_VARS = "PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE"
_PROBE = "pulumi"  # what the salt's own ciphertext decrypts to when the passphrase is right


class Crypter:
    """Encrypts and decrypts one stack's secrets; `salt` is `v1:SALT:v1:NONCE:CIPHERTEXT`."""

    def __init__(self, phrase: str, salt: str = "") -> None:
        found = re.fullmatch(r"v1:([\w+/]+=*):.*", salt or f"v1:{b64encode(os.urandom(8)).decode()}:")
        if not found:
            raise EngineError(f"encryptionsalt: {salt[:20]!r} is not v1:SALT:…; restore it from a backup")
        seed = found[1]
        self._cipher = AESGCM(PBKDF2HMAC(SHA256(), 32, b64decode(seed), ITERATIONS).derive(phrase.encode()))
        self.salt = salt or f"v1:{seed}:{self.encrypt(_PROBE)}"
        try:
            self.decrypt(self.salt.removeprefix(f"v1:{seed}:"))
        except EngineError as error:
            raise EngineError(f"incorrect passphrase: {_VARS} is not what the stack was made with") from error

    def encrypt(self, text: str) -> str:
        """Return `v1:NONCE:CIPHERTEXT` (base64) for `text`."""
        nonce = os.urandom(12)
        sealed = self._cipher.encrypt(nonce, text.encode(), None)
        return f"v1:{b64encode(nonce).decode()}:{b64encode(sealed).decode()}"

    def decrypt(self, sealed: str) -> str:
        """Return the text of what `encrypt` or the CLI wrote."""
        try:
            _, nonce, data = sealed.split(":")
            return self._cipher.decrypt(b64decode(nonce), b64decode(data), None).decode()
        except (ValueError, InvalidTag) as error:
            raise EngineError("a secret is damaged or another stack's; restore a backup") from error


def passphrase() -> str:
    """Read the passphrase from where Pulumi reads it."""
    given = os.environ.get("PULUMI_CONFIG_PASSPHRASE")
    if given is None and (file := os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")):
        try:
            given = Path(file).read_text().strip()
        except OSError as error:
            what = f"PULUMI_CONFIG_PASSPHRASE_FILE: {file}: {error.strerror}"
            raise EngineError(f"{what}; name a readable file") from error
    if given is None:
        raise EngineError(f"passphrase must be set with {_VARS}")
    return given
