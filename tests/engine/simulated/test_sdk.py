"""What is read of an SDK's classes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
TYPES = [
    token
    for token in (ROOT / "engine" / "simulated" / "unmapped.txt").read_text().split()
    if token.startswith("cloudflare:")
]
TOLD = """
import sys
import typing
import warnings

warnings.simplefilter("ignore")  # the whole SDK warns of itself
from engine.simulated import sdk

if sys.argv[1] == "whole":
    import pulumi_cloudflare
seen = set()


def tell(cls, of):
    if (cls.__name__, of.__name__) not in seen:
        seen.add((cls.__name__, of.__name__))
        for wire, one in sorted(of(cls).items()):
            kinds = [one.kind]
            while args := typing.get_args(kinds[-1]):
                kinds.append(sdk.unwrapped(args[-1]))
            names = [getattr(kind, "__name__", kind) for kind in kinds]
            print(cls.__name__, of.__name__, wire, one.python, names, one.required, one.limits)
            if sdk.is_object(kinds[-1]):
                tell(kinds[-1], of)


for token in sys.argv[2:]:
    cls = sdk.resource(token)
    tell(sdk.arguments(cls), sdk.inputs)
    tell(cls, sdk.outputs)
print(sorted(name for name in sys.modules if name.startswith("pulumi_cloudflare.")), file=sys.stderr)
"""


def told(how: str) -> tuple[list[str], str]:
    """Return all properties of the types, and which modules of the SDK are there."""
    done = subprocess.run(
        [sys.executable, "-c", TOLD, how, *TYPES], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines(), done.stderr


def test_types_are_read_alone_as_they_are_in_the_whole_sdk() -> None:
    alone, modules = told("alone")
    whole, all_modules = told("whole")
    assert alone == whole
    assert {line.split()[0] for line in alone} >= {"RulesetRuleArgs", "DnsRecordDataArgs", "ZoneArgs"}
    assert "_inputs'" not in modules, "3,000 classes, which a preview would wait for"
    assert "_inputs'" in all_modules
