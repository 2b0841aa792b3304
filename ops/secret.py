"""``make secret``: a secret setting as a stack file may hold it, encrypted."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import typer
import yaml
from pydantic import BaseModel, SecretStr

from engine.errors import EngineError
from engine.secrets import Crypter
from ops.private import PASSPHRASE
from ops.stack import ENCRYPTION, INSTALL, PROJECT, Stack, StackError
from stacks import Settings
from stacks.loading import block_of, document
from stacks.shared_state import secrets_provider


def given(setting: str) -> str:
    """Return the secret that somebody types, unseen, or that a pipe brings."""
    if sys.stdin.isatty():
        return str(typer.prompt(setting, hide_input=True))
    return sys.stdin.read().removesuffix("\n")


def check(setting: str) -> None:
    """Raise StackError if no setting of this name is a secret."""
    known = sorted(_secrets(Settings))
    if setting not in known:
        raise StackError(f"SETTING={setting} is no secret setting; there are: {', '.join(known)}")


def sealed(stack: Stack, setting: str, text: str) -> str:
    """Return what is to be put into the stack file, as YAML: the setting, and what its encryption needs.

    Raises:
        StackError: if there is no text, or nothing here can encrypt for the stack.
    """
    if not text:
        raise StackError(f"no value was given for {setting}: type it, or pipe it in")
    stack.prepare()
    found = _by_key(stack, setting, text) if stack.in_cloud else _by_passphrase(stack, setting, text)
    there = document(stack.settings_file)
    new = {name: found[name] for name in ENCRYPTION if name in found and name not in there}
    return yaml.safe_dump(new | {"config": found["config"]}, sort_keys=False, width=sys.maxsize)


def _by_passphrase(stack: Stack, setting: str, text: str) -> dict[str, Any]:
    """Encrypt with the passphrase of the stacks on this machine."""
    files = (stack.settings_file, stack.config_file)
    salts = (document(file).get("encryptionsalt") for file in files)
    phrase = os.environ.get("PULUMI_CONFIG_PASSPHRASE") or (stack.state / PASSPHRASE).read_text().strip()
    try:
        crypter = Crypter(phrase, next(filter(None, salts), ""))
    except EngineError as error:
        raise StackError(
            f"{stack.settings_file} has secrets that another passphrase opens: put that one into "
            f"{stack.state / PASSPHRASE}, or take those secrets and encryptionsalt out of the file"
        ) from error
    value: dict[str, Any] = {"secure": crypter.encrypt(text)}
    block, *names = setting.split(".")
    for name in reversed(names):
        value = {name: value}
    return {"encryptionsalt": crypter.salt, "config": {f"{PROJECT}:{block}": value}}


def _by_key(stack: Stack, setting: str, text: str) -> dict[str, Any]:
    """Encrypt with the KMS key of a stack on AWS."""
    if not stack.cli:
        raise StackError(f"secrets of stack {stack.name} are encrypted with its KMS key: {INSTALL}")
    stack.check_possible(changing=True)
    stack.create()
    there = document(stack.settings_file)
    how = {name: there[name] for name in ENCRYPTION if name in there} or {
        "secretsprovider": secrets_provider(stack.name, stack.region)
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / stack.settings_file.name
        file.write_text(yaml.safe_dump(how))
        stack.encrypt(setting, text, file)
        found: dict[str, Any] = document(file)
    return found


def _secrets(block: type[BaseModel], path: str = "") -> Iterator[str]:
    """Yield the secret settings in a block, by their paths."""
    for name, field in block.model_fields.items():
        here = f"{path}{field.alias or name}"
        if SecretStr in (field.annotation, *get_args(field.annotation)):
            yield here
        elif inner := block_of(field.annotation):
            yield from _secrets(inner, f"{here}.")
