"""Who may keep an answer, and for how long: one table, by which the edge answers and CDNs keep.

Files whose names change with their content are kept for a year, pages are asked for anew each time, and a few
public answers are kept for minutes by a CDN, where nobody has said who is asking. A cache that kept any other
answer would give it to the wrong one. So the edge says of each answer what may be kept of it, and a CDN keeps
only what that and its own rules both allow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from stacks.aws import CdnSettings

API = ("/api/*", "/v1/*", "/ws")
EVERYTHING = ("*",)
CONSOLE = "/console/"
"""Where the edge has the console; on a host name of its own it stands at the root."""
PRIVATE = "private, no-store"
REVALIDATED = "no-cache"
NO_CDN = CdnSettings(public_paths=())
"""Without a CDN nothing is public."""


class Source(Enum):
    """Where answers come from. It does not say who may see them."""

    CONSOLE = "console"
    API = "api"


class Kept(Enum):
    """What of an answer a CDN keeps. It does not say for how long."""

    ALWAYS = "always"
    ANONYMOUS = "anonymous"
    """Answers with status 200 to requests without ``Authorization``, ``X-Api-Key`` and ``Cookie``."""
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
    cache_control: str
    """What viewers are told of a good answer; of any other they are told ``PRIVATE``."""

    @property
    def passes_through(self) -> bool:
        """Whether request and answer go through as they are, streams among them."""
        return self.source is Source.API and self.kept is Kept.NEVER


def rules(settings: CdnSettings, source: Source) -> tuple[Rule, ...]:
    """Return the rules of a host name at a CDN whose pages come from ``source``."""
    if source is Source.API:
        return (_public(settings), _api(EVERYTHING))
    static, pages = _console(settings, "/")
    return (static, _public(settings), _api(API), pages)


def edge_rules(settings: CdnSettings | None) -> tuple[Rule, ...]:
    """Return the rules by which the edge answers, before a CDN or alone."""
    static, pages = _console(settings or NO_CDN, CONSOLE)
    return (static, pages, _public(settings or NO_CDN), _api(EVERYTHING))


def applies(rule: Rule, path: str) -> bool:
    """Return whether ``rule`` fits a request for ``path``."""
    return any(
        path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern for pattern in rule.paths
    )


def _console(settings: CdnSettings, root: str) -> tuple[Rule, Rule]:
    """Return the rules of its hashed files, and of all others."""
    age = settings.static_max_age_s
    static = f"public, max-age={age}, immutable"
    return (
        Rule("static", (f"{root}assets/*",), Source.CONSOLE, Kept.ALWAYS, age, static),
        Rule("pages", (f"{root}*",), Source.CONSOLE, Kept.NEVER, 0, REVALIDATED),
    )


def _public(settings: CdnSettings) -> Rule:
    age = settings.public_max_age_s
    told = f"public, max-age=0, s-maxage={age}"
    return Rule("public", settings.public_paths, Source.API, Kept.ANONYMOUS, age, told)


def _api(paths: Sequence[str]) -> Rule:
    return Rule("api", paths, Source.API, Kept.NEVER, 0, PRIVATE)
