"""What a rule is, and what it sees of the resources that it judges."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from policies.values import Properties

Level = Literal["mandatory", "advisory"]
ALLOW_REPLACE = {"allowReplace": {"type": "array", "items": {"type": "string"}, "default": []}}
"""What a stack gives free, by type, name or URN; ``*`` is all of it."""
Finding = tuple["Resource | None", str]
"""A resource, None for the stack as a whole, and what is wrong with it."""


@dataclass(frozen=True)
class Resource:
    """A resource as the program asks for it."""

    type: str
    name: str
    urn: str
    props: Properties
    """Its inputs. Unknown ones are ``values.UNKNOWN``, strings of secret ones ``values.SecretText``."""
    protect: bool = False
    ignored: frozenset[str] = frozenset()
    """Properties that the program writes once, when it makes the resource."""
    default_tags: Properties = field(default_factory=dict)
    """Tags that its provider puts on everything."""
    refers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By property, the URNs of the resources that its value comes from; only the stack's rules see them."""
    config: Properties = field(default_factory=dict)
    """The rule's settings."""

    @property
    def given_free(self) -> bool:
        """Whether the rule's setting ``allowReplace`` names it."""
        return bool({"*", self.type, self.name, self.urn} & {*self.config["allowReplace"]})

    def names(self, other: "Resource", key: str, name: str) -> bool:
        """Tell whether the property ``key`` comes from ``other`` or holds its name, its property ``name``."""
        value = self.props.get(key)
        return other.urn in self.refers.get(key, ()) or (
            isinstance(value, str) and value == other.props.get(name)
        )


@dataclass(frozen=True)
class Stack:
    """All resources of a stack."""

    resources: Sequence[Resource]
    config: Properties = field(default_factory=dict)
    """The rule's settings."""

    def of(self, *types: str) -> list[Resource]:
        """Return the resources of these types."""
        return [one for one in self.resources if one.type in types]


@dataclass(frozen=True)
class Rule:
    """One rule: everything that is said about it anywhere, and the function that tells what breaks it."""

    id: str
    what: str
    """The sentence that holds where the rule is kept."""
    why: str
    remedy: str
    check: Callable[[Any], Iterator[Any]]
    """Takes a ``Resource`` and yields messages, or a ``Stack`` and yields ``Finding``s."""
    on: frozenset[str] | None = None
    """Types of the resources that it judges, None for all; the stack's rules look for themselves."""
    about_stack: bool = False
    level: Level = "mandatory"
    settings: Mapping[str, Any] = field(default_factory=dict)
    """JSON schema of its settings, each with its default."""

    def default_config(self) -> Properties:
        """Return the settings as they are where a stack sets none."""
        return {name: schema["default"] for name, schema in self.settings.items()}


def rule(
    id: str,
    *,
    why: str,
    remedy: str,
    on: Sequence[str] = (),
    level: Level = "mandatory",
    settings: Mapping[str, Any] | None = None,
) -> Callable[[Callable[[Resource], Iterator[str]]], Rule]:
    """Make a rule of a function that yields what is wrong with a resource; its docstring says what holds."""

    def made(check: Callable[[Resource], Iterator[str]]) -> Rule:
        types = frozenset(on) if on else None
        return Rule(id, _what(check), why, remedy, check, types, level=level, settings=settings or {})

    return made


def stack_rule(
    id: str,
    *,
    why: str,
    remedy: str,
    level: Level = "mandatory",
    settings: Mapping[str, Any] | None = None,
) -> Callable[[Callable[[Stack], Iterator[Finding]]], Rule]:
    """Make a rule of a function that yields what is wrong with a stack; its docstring says what holds."""

    def made(check: Callable[[Stack], Iterator[Finding]]) -> Rule:
        return Rule(
            id, _what(check), why, remedy, check, about_stack=True, level=level, settings=settings or {}
        )

    return made


def _what(check: Callable[..., Any]) -> str:
    return " ".join((check.__doc__ or "").split())
