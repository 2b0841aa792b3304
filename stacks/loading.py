"""From a stack's Pulumi configuration to its settings; every problem is reported at once."""

import difflib
import json
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from stacks import budgets, gguf, models
from stacks.block import IN_WORDS
from stacks.settings import Settings

NAMESPACE = "ollamamax"
ENCRYPTED = "encrypted"
"""What stands for an encrypted value where nothing decrypts it."""


class SettingsError(Exception):
    """The stack file does not describe a platform; the message holds one line a problem."""


class _StackFile(yaml.SafeLoader):
    """Refuses a setting that is given twice, as the Pulumi CLI does; PyYAML would take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} is given twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load() -> Settings:
    """Return the settings of the stack that is being deployed.

    Raises:
        RunError: naming every unknown key, bad value and broken budget; Pulumi prints its message alone.
    """
    import pulumi  # here: who reads a file need not wait for the SDK

    # The CLI hands the configuration over in the environment, other hosts of the program in the runtime.
    config = {**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    try:
        return parse(_ours(config), pulumi.get_stack())
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from error


def read(file: Path, stack: str) -> Settings:
    """Return the settings in a stack file, for what works without deploying.

    Raises:
        SettingsError: naming every unknown key, bad value and broken budget, or why the file cannot be read.
    """
    return parse(raw(file, stack), stack)


def raw(file: Path, stack: str) -> dict[str, Any]:
    """Return the settings in a stack file as it gives them, without their namespace and unchecked.

    Of what is encrypted (``secure:``) only an engine knows the text: ``ENCRYPTED`` stands in its place.

    Raises:
        SettingsError: if the file cannot be read, is not YAML, or holds no settings.
    """
    try:
        found = document(file)
    except SettingsError as error:
        raise SettingsError(f"stack {stack}: {error}") from error
    config = found.get("config") if isinstance(found, dict) else None
    if not isinstance(config, dict):
        raise SettingsError(f"stack {stack}: {file} has no settings: they belong under `config:`")
    return _ours(readable(config))


def readable(value: Any) -> Any:  # noqa: ANN401 - whatever the stack file says
    """Return settings with ``ENCRYPTED`` in the place of each value that is encrypted."""
    if isinstance(value, list):
        return [readable(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"secure"}:
        return ENCRYPTED
    return {name: readable(one) for name, one in value.items()}


def document(file: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return what a YAML file holds.

    Raises:
        SettingsError: if it cannot be read, is not YAML, or says something twice.
    """
    try:
        return yaml.load(file.read_text(), _StackFile)  # noqa: S506 - a safe loader
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingsError(f"{file}{line}: {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not YAML: {error}") from error


def catalogue(settings: Settings) -> models.Catalogue:
    """Return what is known of models: the published ones, and those whose files ``settings`` name.

    Raises:
        SettingsError: naming every file that is no model.
    """
    known, problems = _catalogue(settings)
    if problems:
        raise SettingsError("\n".join(problems))
    return known


def parse(given: Mapping[str, Any], stack: str) -> Settings:
    """Return the settings in ``given``, the configuration of ``stack`` without its namespace.

    Raises:
        SettingsError: naming every unknown key, bad value and broken budget.
    """
    try:
        # JSON mode: a list is a tuple and a string an address, while "5" is still no number.
        settings = Settings.model_validate_json(
            json.dumps(dict(given), default=str), by_alias=True, by_name=False
        )
    except ValidationError as error:
        problems = describe(error, Settings)
    else:
        known, unreadable = _catalogue(settings)
        problems = unreadable or budgets.check(settings, stack, known)
        if not problems:
            return settings
    raise SettingsError(f"stack {stack}: the settings have {listed(problems)}")


def describe(error: ValidationError, of: type[BaseModel]) -> list[str]:
    """Return a line for each thing that is wrong in a file of ``of``: path, value, limit, way out."""
    return sorted(_describe(detail, of) for detail in _distinct(error.errors()))


def listed(problems: Sequence[str]) -> str:
    """Return how many problems there are, and each on a line of its own."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"{count}:", *(f"  {problem}" for problem in problems)])


def _ours(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of this project among all configuration, without their namespace."""
    found = {}
    for key, value in config.items():
        namespace, _, name = str(key).rpartition(":")
        if namespace in ("", NAMESPACE):  # Pulumi, too, takes a key without one for the project's own
            found[name] = _decode(value)
    return found


def _catalogue(settings: Settings) -> tuple[models.Catalogue, list[str]]:
    """Return what is known of models, and the problems with the files of some."""
    known, problems = dict(models.PUBLISHED), []
    for index, entry in enumerate(settings.model_files):
        try:
            known[entry.model] = gguf.read(Path(entry.file))
        except gguf.GgufError as error:
            problems.append(f"modelFiles.{index}.file: {entry.file} {error}")
        except OSError as error:
            problems.append(f"modelFiles.{index}.file: {entry.file}: {error.strerror}")
    return known, problems


def _decode(value: Any) -> Any:  # noqa: ANN401 - whatever the stack file holds
    """Return what the stack file says: Pulumi hands structured values over as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _distinct(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out lists that are too short only because bad entries were not counted."""
    inside = {detail["loc"][:-1] for detail in details}
    return [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in inside]


def _describe(detail: ErrorDetails, of: type[BaseModel]) -> str:
    """Return one line: the setting's path, its value, the limit and the way out."""
    location = detail["loc"]
    path = ".".join(str(part) for part in location)
    value = json.dumps(detail["input"], ensure_ascii=False)
    limits = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            return f"{path}: unknown setting{_suggest(location, of)}"
        case "missing":
            return f"{path}: is missing"
        case "less_than_equal":
            return f"{path}: {value} is more than {limits['le']:.15g}"
        case "greater_than_equal":
            return f"{path}: {value} is less than {limits['ge']:.15g}"
        case "int_type":
            return f"{path}: {value} is not a whole number"
        case "float_type":
            return f"{path}: {value} is not a number"
        case "string_type":
            quotes = ": put it in quotes" if isinstance(detail["input"], int | float) else ""
            return f"{path}: {value} is not text{quotes}"
        case "tuple_type":
            return f"{path}: {value} is not a list"
        case "model_type":
            return f"{path}: {value} is not a block of settings"
        case "too_short":
            least = limits["min_length"]
            return f"{path}: needs at least {least} {'entry' if least == 1 else 'entries'}"
        case "literal_error":
            return f"{path}: {value} is not {limits['expected']}"
        case "string_pattern_mismatch":
            return f"{path}: {value} is not {IN_WORDS[limits['pattern']]}"
        case "value_error" if isinstance(detail["input"], str):
            return f"{path}: {value} {_address_problem(location, detail['input'], of)}"
        case "value_error":
            return f"{path}: {limits['error']}"
        case _:
            return f"{path}: {value}: {detail['msg']}"


def _address_problem(location: tuple[str | int, ...], value: str, of: type[BaseModel]) -> str:
    """Return what is wrong with an IP address or network: the only values that Python's own types check."""
    field = _field(location, of)
    kinds = (field.annotation, *get_args(field.annotation)) if field else ()
    if IPv4Network not in kinds:
        return "is not an IPv4 address, such as 127.0.0.1"
    try:
        network = IPv4Network(value, strict=False)
    except ValueError:
        return "is not an IPv4 network, such as 172.16.84.0/24"
    return f"is an address inside a network: write {network}"


def _suggest(location: tuple[str | int, ...], of: type[BaseModel]) -> str:
    """Return a hint with the nearest setting of the block in which the unknown key stands."""
    outer = _field(location[:-1], of)
    block = block_of(outer.annotation) if outer else of
    names = [field.alias or name for name, field in block.model_fields.items()] if block else []
    near = difflib.get_close_matches(str(location[-1]), names, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(sorted(names))}"


def _field(location: Sequence[str | int], of: type[BaseModel]) -> FieldInfo | None:
    """Return the field at ``location``, or the list that holds it; None stands for the whole."""
    block: type[BaseModel] | None = of
    field = None
    for part in location:
        if block and isinstance(part, str):  # a number is a place in the list of blocks
            field = next(field for field in block.model_fields.values() if field.alias == part)
            block = block_of(field.annotation)
    return field


def block_of(annotation: object) -> type[BaseModel] | None:
    """Return the block of settings that a field holds, or a list of them, if it does."""
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
