"""What is on disk: Pulumi.yaml, the stack's config file and its salt."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from engine.backend import write_file
from engine.errors import EngineError
from engine.secrets import Crypter
from engine.values import Properties, Value, walk


@dataclass(frozen=True)
class Project:
    """A project as its Pulumi.yaml describes it; `program` is the Python file that is run."""

    name: str
    program: Path
    config_folder: Path

    @classmethod
    def find(cls) -> Project:
        """Read the Pulumi.yaml in the current folder."""
        folder = Path.cwd()
        file = folder / "Pulumi.yaml"
        if not file.is_file():
            raise EngineError(f"no Pulumi.yaml in {folder}; run in the project's folder")
        document = _read(file)
        name, runtime = document.get("name"), document.get("runtime")
        if not isinstance(name, str):
            raise EngineError(f"{file}: name is missing; give the project one")
        if (language := runtime.get("name") if isinstance(runtime, dict) else runtime) != "python":
            raise EngineError(f"{file}: runtime {language!r} needs the Pulumi CLI; here it is python")
        program = folder / str(document.get("main") or ".")
        program = program / "__main__.py" if program.is_dir() else program
        if not program.is_file():
            raise EngineError(f"{program}: the program is missing; {file} names it in main")
        return cls(name, program, folder / str(document.get("stackConfigDir") or "."))


@dataclass
class Config:
    """One stack's config file: `values` by full key (`project:key`), structures as JSON, secrets open."""

    file: Path
    salt: str = ""
    values: dict[str, str] = field(default_factory=dict)
    secret_keys: list[str] = field(default_factory=list)
    _raw: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Config:
        """Read `file`; a missing one is empty."""
        document = _read(file) if file.exists() else {}
        raw = document.get("config") or {}
        if not isinstance(raw, dict):
            raise EngineError(f"{file}: config must be a mapping of keys to values")
        return cls(file, str(document.get("encryptionsalt") or ""), _raw=raw)

    def open(self, crypter: Crypter, project: str) -> None:
        """Decrypt what is `secure:` and bring every value into the form programs receive."""

        def plain(found: Properties) -> Value:
            return crypter.decrypt(str(found["secure"])) if set(found) == {"secure"} else found

        for key, value in self._raw.items():
            full, structured = key if ":" in key else f"{project}:{key}", isinstance(value, dict | list)
            opened = walk(value, on_map=plain) if structured else value
            self.values[full] = opened if isinstance(opened, str) else json.dumps(opened, default=str)
            self.secret_keys += [full] if opened != value else []

    def keep_salt(self, salt: str) -> None:
        """Write a new salt into the file, ahead of what is in it."""
        text = self.file.read_text() if self.file.exists() else ""
        write_file(self.file, f"encryptionsalt: {salt}\n{text}".encode())
        self.salt = salt


def _read(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise EngineError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise EngineError(f"{file}: must hold a mapping")
    return document
