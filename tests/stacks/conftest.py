"""Stack files as an engine hands them to the program."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime import mocks

import stacks
from stacks import Settings


class NoResources(mocks.Mocks):
    """Settings are loaded before anything is registered."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        raise AssertionError(f"loading settings registered {args.name}")

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"loading settings called {args.token}")


def as_config(document: dict[str, Any]) -> dict[str, str]:
    """Return what a program sees of a stack file: plain values as text, all others as JSON text."""
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in document["config"].items()
    }


@pytest.fixture
def load_file() -> Callable[..., Settings]:
    """Return a function that loads a stack file as the program would, in a stack of the name given."""

    def load(file: Path, stack: str = "some-stack") -> Settings:
        mocks.set_mocks(NoResources(), project="ollamamax", stack=stack)
        pulumi.runtime.set_all_config(as_config(yaml.safe_load(file.read_text())))
        return stacks.load()

    return load
