"""What an update may neither delete nor replace, unless the stack says so."""

from collections.abc import Collection

from stacks.protected import EVERYTHING


def protects(name: str, allow_replace: Collection[str]) -> bool:
    """Return whether the resource ``name`` is protected.

    Args:
        name: the resource's name in the program.
        allow_replace: the names that the stack gives free, its ``policy.allowReplace``.
    """
    return name not in allow_replace and EVERYTHING not in allow_replace
