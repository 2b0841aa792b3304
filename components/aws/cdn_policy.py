"""What a CDN may keep, and for how long: one table, which every CDN is told in its own words.

Files whose names change with their content are kept for a year, pages are asked for anew each time, and a few
public answers are kept for minutes where nobody has said who is asking. An edge that kept any other answer
would give it to the wrong one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from stacks.aws import CdnSettings

STATIC = ("/assets/*",)
API = ("/api/*", "/v1/*", "/ws")
EVERYTHING = ("*",)
PRIVATE = "private, no-store"
REVALIDATED = "no-cache"


class Source(Enum):
    """Where answers come from. It does not say who may see them."""

    CONSOLE = "console"
    API = "api"


class Kept(Enum):
    """What of an answer a CDN keeps. It does not say for how long."""

    ALWAYS = "always"
    ANONYMOUS = "anonymous"
    """Answers with status 200 to requests without ``Authorization`` and ``Cookie``."""
    NEVER = "never"


@dataclass(frozen=True)
class Rule:
    """What holds for some paths; the first rule that fits is the one."""

    name: str
    paths: Sequence[str]
    """Exact, or up to a ``*`` at the end."""
    source: Source
    kept: Kept
    max_age_s: int
    """How long the CDN keeps an answer at most, seconds."""
    cache_control: str | None
    """What viewers are told; None leaves it to the origin."""

    @property
    def passes_through(self) -> bool:
        """Whether request and answer go through as they are, streams among them."""
        return self.source is Source.API and self.kept is Kept.NEVER


def rules(settings: CdnSettings, source: Source) -> tuple[Rule, ...]:
    """Return the rules of a host name whose pages come from ``source``."""
    static = f"public, max-age={settings.static_max_age_s}, immutable"
    # The edge says of these, too, that they may be kept, where they are asked for without a key.
    public = Rule(
        "public", settings.public_paths, Source.API, Kept.ANONYMOUS, settings.public_max_age_s, None
    )
    if source is Source.API:
        return (public, Rule("api", EVERYTHING, Source.API, Kept.NEVER, 0, PRIVATE))
    return (
        Rule("static", STATIC, Source.CONSOLE, Kept.ALWAYS, settings.static_max_age_s, static),
        public,
        Rule("api", API, Source.API, Kept.NEVER, 0, PRIVATE),
        Rule("pages", EVERYTHING, Source.CONSOLE, Kept.NEVER, 0, REVALIDATED),
    )


def applies(rule: Rule, path: str) -> bool:
    """Return whether ``rule`` fits a request for ``path``."""
    return any(
        path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern for pattern in rule.paths
    )
