"""Writes ``docs/settings.md`` from the settings themselves: ``python -m ops.settings_page FILE``."""

import ast
import inspect
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, MinLen
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ops.page import run
from stacks import budgets
from stacks.block import IN_WORDS
from stacks.loading import NAMESPACE, block_of
from stacks.settings import Settings

TYPES = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true or false",
    SecretStr: "secret text",
    IPv4Address: "IPv4 address",
    IPv4Network: "IPv4 network",
}
HEADER = f"""\
<!-- Made by `make docs` from stacks/: do not edit. -->
# Settings

A stack's settings are in `stacks/Pulumi.<stack>.yaml`, under `config:`, each with the prefix
`{NAMESPACE}:`. A setting that a stack does not name has the default given here; a block needs only what
differs. A list replaces the default list. Unknown names, wrong types and values outside their limits are
errors, reported all at once, before anything changes.

```yaml
config:
  {NAMESPACE}:target: docker
  {NAMESPACE}:models: [smollm2:135m]
  {NAMESPACE}:gateway:
    replicas: 3
    databasePool: {{maxOpen: 50}}
```

Values marked "report" come from the performance report by which the platform is tuned.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEADER, *_block("The stack", Settings, ""), *_budgets()])


def _block(title: str, block: type[BaseModel], path: str) -> Iterator[str]:
    """Yield the lines about one block, then those about the blocks inside it."""
    inner = {name: kind for name, field in block.model_fields.items() if (kind := block_of(field.annotation))}
    yield f"## {title}\n"
    if path:
        yield f"{_text(block.__doc__)}\n"
    yield "| Setting | Type and limits | Default | Meaning |"
    yield "|---|---|---|---|"
    for name, field in block.model_fields.items():
        if name not in inner:
            yield _row(f"{path}{field.alias}", field)
        elif _of_its_field(field, inner[name]):
            yield from _rows(f"{path}{field.alias}", field, inner[name])
    yield ""
    for name, kind in inner.items():
        field = block.model_fields[name]
        if not _of_its_field(field, kind):
            inside = f"{path}{field.alias}{'[]' if get_origin(field.annotation) is tuple else ''}"
            title = f"`{inside}`{'' if field.default is not None else ' (none, unless it is given)'}"
            yield from _block(title, kind, f"{inside}.")


def _of_its_field(field: FieldInfo, kind: type[BaseModel]) -> bool:
    """Tell whether a block has no defaults of its own, as limits and thresholds: its field has them."""
    return isinstance(field.default, kind) and all(f.is_required() for f in kind.model_fields.values())


def _rows(path: str, field: FieldInfo, kind: type[BaseModel]) -> Iterator[str]:
    """Yield the rows of such a block, which stand in the table of what it belongs to."""
    for name, inner in kind.model_fields.items():
        default = getattr(field.default, name)
        meaning = f"{_text(field.description)} {_text(inner.description)}"
        yield f"| `{path}.{inner.alias}` | {_type(inner)} | `{default:g}` | {meaning} |"


def _row(path: str, field: FieldInfo) -> str:
    return f"| `{path}` | {_type(field)} | {_default(field.default)} | {_text(field.description)} |"


def _type(field: FieldInfo) -> str:
    """Return the type and limits of a field in words."""
    words = _words(field.annotation, field.metadata)
    return words.replace("|", "\\|")


def _words(annotation: Any, metadata: list[Any]) -> str:  # noqa: ANN401 - a type
    origin = get_origin(annotation)
    if origin is Annotated:
        base, *more = get_args(annotation)
        return _words(base, [limit for info in more for limit in getattr(info, "metadata", [info])])
    if origin is UnionType or origin is Union:
        one, _ = get_args(annotation)  # a type, or None
        return f"{_words(one, metadata)}, or none"
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if origin is tuple:
        least = next((limit.min_length for limit in metadata if isinstance(limit, MinLen)), 0)
        return f"list{f' of at least {least}' if least else ''}: {_words(get_args(annotation)[0], [])}"
    pattern = next((limit.pattern for limit in metadata if hasattr(limit, "pattern")), None)
    if pattern:
        return IN_WORDS[pattern]
    low = next((limit.ge for limit in metadata if isinstance(limit, Ge)), None)
    high = next((limit.le for limit in metadata if isinstance(limit, Le)), None)
    limits = f", {low} – {high}" if low is not None and high is not None else ""
    return f"{TYPES[annotation]}{limits}"


def _default(value: Any) -> str:  # noqa: ANN401 - any setting's default
    if value is PydanticUndefined:
        return "none: must be given"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"


def _budgets() -> Iterator[str]:
    """Yield the lines about the checks that span several settings."""
    yield "## Budgets\n"
    yield "Checks across settings, made before anything changes. A stack that breaks one is refused:\n"
    for rule in (*budgets.NAME_CHECKS, *budgets.CHECKS, *budgets.MODEL_CHECKS):
        title = rule.__name__.replace("_", " ").capitalize()
        yield f"* **{title}.** {_text(rule.__doc__)} An error is:"
        for sentence in _sentences(rule):
            yield f"  * {sentence}"
    yield ""


def _sentences(rule: object) -> Iterator[str]:
    """Yield what a check can say, with an ellipsis for each number."""
    assert inspect.isfunction(rule)  # noqa: S101 - narrows the type
    for node in ast.walk(ast.parse(inspect.getsource(rule))):
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.JoinedStr | ast.Constant):
            parts = node.value.values if isinstance(node.value, ast.JoinedStr) else [node.value]
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)


def _text(description: str | None) -> str:
    """Return a docstring as one line of Markdown."""
    return " ".join((description or "").split()).replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    run(page, of="the settings")
