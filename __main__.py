"""The Pulumi program: load the stack's settings, build the platform, export its outputs."""

import tomllib
from pathlib import Path

import pulumi

import stacks
from components.platform import Platform

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
platform = Platform("platform", stacks.load(), project["version"])

for name, value in platform.outputs.items():
    pulumi.export(name, value)
