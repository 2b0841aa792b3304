"""Blast radius: what the stack gives free is what would be protected."""

import difflib
from collections.abc import Iterator

from stacks import protected
from stacks.settings import Settings


def given_free(s: Settings) -> Iterator[str]:
    """Every name gives something free: a misspelt one would leave it protected, and nobody would be told."""
    known = sorted(protected.names(s))
    for name in s.policy.allow_replace:
        if name in known or (known and name == protected.EVERYTHING):
            continue
        near = difflib.get_close_matches(name, known, n=3) or known
        hint = f"nearest are {', '.join(near)}" if known else f"with target {s.target} nothing is"
        yield f"policy.allowReplace: {name} is nothing that these settings protect; {hint}"
