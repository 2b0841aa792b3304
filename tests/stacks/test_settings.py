"""The settings: defaults from the performance report, types, limits, immutability."""

import json
from collections.abc import Callable, Iterator
from functools import reduce
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, get_args

import pulumi
import pytest
from annotated_types import Ge, Le
from pulumi.runtime import mocks
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

import stacks
from stacks import Settings, SettingsError
from stacks.loading import parse
from tests.stacks.conftest import NoResources

ROOT = Path(__file__).parents[2]
MINIMAL: dict[str, Any] = {"target": "docker"}

REPORT = {
    "gateway.read_header_timeout_s": 5,
    "gateway.read_timeout_s": 5,
    "gateway.write_timeout_s": 5,
    "gateway.idle_timeout_s": 60,
    "gateway.max_header_bytes": 8192,
    "gateway.go_gc": 50,
    "gateway.go_memory_limit_mib": 2048,
    "node_memory.warning_mib": 4096,
    "node_memory.critical_mib": 5120,
    "gateway.database_pool.max_open": 100,
    "gateway.database_pool.max_idle": 25,
    "gateway.database_pool.max_lifetime_s": 300,
    "gateway.query_cache.entries": 10_000,
    "gateway.query_cache.ttl_s": 300,
    "edge.alt_svc_max_age_s": 86_400,
    "edge.keepalive_requests": 1000,
    "edge.keepalive_timeout_s": 75,
    "edge.upstream_keepalive_timeout_s": 50,
    "edge.header_timeout_s": 5,
    "edge.body_timeout_s": 5,
    "edge.send_timeout_s": 5,
    "edge.compression.min_bytes": 1024,
    "edge.compression.brotli_level": 4,
}
"""Setting → the value that the performance report gives it."""


def fields(block: type[BaseModel], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every setting that is no block, with its path in a stack file."""
    for name, field in block.model_fields.items():
        kind = field.annotation
        here = f"{path}{field.alias or name}"
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from fields(kind, f"{here}.")
        else:
            yield here, field


def nested(path: str, value: object) -> dict[str, Any]:
    """Return the raw settings that give ``value`` to the setting at ``path``."""
    raw: Any = value
    for part in reversed(path.split(".")):
        raw = {part: raw}
    return dict(raw)


def lookup(settings: Settings, path: str) -> Any:
    return reduce(getattr, path.split("."), settings)


@pytest.mark.parametrize(("path", "value"), REPORT.items(), ids=str)
def test_defaults_are_the_reports(path: str, value: int) -> None:
    assert lookup(parse(MINIMAL, "s"), path) == value


def test_the_pool_can_prepare_statements_in_transaction_mode() -> None:
    assert parse(MINIMAL, "s").pool.max_prepared_statements > 0


def test_the_gateways_memory_limit_stands_above_go_memory_limit() -> None:
    gateway = parse(MINIMAL, "s").gateway
    assert gateway.resources.memory_mib > gateway.go_memory_limit_mib


def test_the_local_stack_has_two_of_what_can_be_lost() -> None:
    settings = parse(MINIMAL, "s")
    assert (settings.gateway.replicas, settings.worker.replicas) == (2, 2)


def test_the_example_for_a_cluster_that_exists_keeps_all_budgets() -> None:
    settings = stacks.read(ROOT / "docs/examples/Pulumi.existing-cluster.yaml", "existing-cluster")
    assert settings.target == "kubernetes"


@pytest.mark.parametrize("file", sorted((ROOT / "stacks").glob("Pulumi.*.yaml")), ids=lambda file: file.stem)
def test_every_stack_file_loads(load_file: Callable[..., Settings], file: Path) -> None:
    targets = {"local": "docker", "test": "docker", "staging": "aws", "prod": "aws"}
    assert load_file(file).target == targets[file.stem.removeprefix("Pulumi.")]
    assert len(file.read_text().splitlines()) <= 80, "tuned numbers belong into the defaults"


def test_the_local_stack_names_a_small_public_model(load_file: Callable[..., Settings]) -> None:
    assert load_file(ROOT / "stacks/Pulumi.local.yaml").models == ("smollm2:135m",)


@pytest.mark.parametrize("path", [path for path, _ in fields(Settings)])
def test_every_setting_says_what_it_means(path: str) -> None:
    field = dict(fields(Settings))[path]
    assert field.description, f"{path} needs a docstring"
    unit = next(
        (
            word
            for ending, word in {"S": "second", "Mib": "MiB", "Ms": "millisecond", "Bytes": "bytes"}.items()
            if path.endswith(ending)
        ),
        "",
    )
    assert unit in field.description, f"{path} needs its unit ({unit}) in its docstring"


LIMITED = [
    (path, limit)
    for path, field in fields(Settings)
    for limit in field.metadata
    if isinstance(limit, (Ge, Le))
]


@pytest.mark.parametrize(("path", "limit"), LIMITED, ids=lambda value: str(value))
def test_a_number_beyond_its_limit_is_refused(path: str, limit: Ge | Le) -> None:
    raw, word = _beyond(limit)
    with pytest.raises(SettingsError) as refused:
        parse({**MINIMAL, **nested(path, raw)}, "s")
    bound = limit.le if isinstance(limit, Le) else limit.ge
    assert f"  {path}: {raw} is {word} than {bound}" in str(refused.value).splitlines()


def test_every_number_has_both_limits() -> None:
    for path, field in fields(Settings):
        if field.annotation in (int, float):
            kinds = {type(limit) for limit in field.metadata}
            assert {Ge, Le} <= kinds, f"{path} needs a lower and an upper limit"


@pytest.mark.parametrize(
    "raw", [nested(path, "5") for path, field in fields(Settings) if field.annotation in (int, float)]
)
def test_a_number_in_quotes_is_no_number(raw: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r'"5" is not a (whole )?number'):
        parse({**MINIMAL, **raw}, "s")


def test_a_word_that_yaml_takes_for_a_date_is_a_word(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.some.yaml"
    file.write_text(
        "config: {ollamamax:target: docker, ollamamax:rotation: {cache: 2026-11, database: 2026-11-27}}"
    )
    rotation = stacks.read(file, "some").rotation
    assert (rotation.cache, rotation.database, rotation.monitoring) == ("2026-11", "2026-11-27", None)


def test_a_block_may_be_given_in_part() -> None:
    settings = parse({**MINIMAL, "gateway": {"databasePool": {"maxOpen": 50}}}, "s")
    expected = parse(MINIMAL, "s").model_dump()
    expected["gateway"]["database_pool"]["max_open"] = 50
    assert settings.model_dump() == expected


def test_lists_are_replaced_as_a_whole() -> None:
    assert parse({**MINIMAL, "models": ["tiny"]}, "s").models == ("tiny",)


def test_addresses_and_networks_are_read_from_text() -> None:
    settings = parse({**MINIMAL, "docker": {"subnet": "10.9.0.0/24"}}, "s")
    assert settings.docker.subnet == IPv4Network("10.9.0.0/24")


@pytest.mark.parametrize("path", ["port_offset", "gateway.replicas", "gateway.database_pool.max_open"])
def test_settings_cannot_be_changed(path: str) -> None:
    *outer, name = path.split(".")
    block = lookup(parse(MINIMAL, "s"), ".".join(outer)) if outer else parse(MINIMAL, "s")
    with pytest.raises(ValidationError, match="frozen"):
        setattr(block, name, 1)


def test_settings_hold_nothing_that_can_be_changed_in_place() -> None:
    for path, field in fields(Settings):
        kinds = {field.annotation, *get_args(field.annotation)}
        assert not kinds & {list, dict, set}, f"{path} must be a tuple"
    hash(parse(MINIMAL, "s"))


@pytest.fixture
def load_config() -> Callable[[dict[str, str]], Settings]:
    """Return a function from configuration, as an engine hands it over, to settings."""

    def load(config: dict[str, str]) -> Settings:
        mocks.set_mocks(NoResources(), project="ollamamax", stack="some-stack")
        pulumi.runtime.set_all_config(config)
        return stacks.load()

    return load


def test_plain_values_arrive_as_text(load_config: Callable[[dict[str, str]], Settings]) -> None:
    settings = load_config({"ollamamax:target": "docker", "ollamamax:portOffset": "100"})
    assert (settings.target, settings.port_offset) == ("docker", 100)


def test_structured_values_arrive_as_json(load_config: Callable[[dict[str, str]], Settings]) -> None:
    gateway = json.dumps({"replicas": 3, "publicKeys": []})
    assert load_config({"ollamamax:target": "docker", "ollamamax:gateway": gateway}).gateway.replicas == 3


def test_other_packages_settings_are_none_of_ours(load_config: Callable[[dict[str, str]], Settings]) -> None:
    assert load_config({"ollamamax:target": "docker", "docker:host": "unix:///x"}) == parse(MINIMAL, "s")


def test_a_problem_ends_the_program_with_a_message_that_names_the_stack(
    load_config: Callable[[dict[str, str]], Settings],
) -> None:
    """Pulumi prints a RunError's message alone, without a traceback."""
    told = r"^stack some-stack: the settings have 1 problem:\n  target: is missing$"
    with pytest.raises(pulumi.RunError, match=told):
        load_config({})


def test_a_stack_file_is_read_as_the_program_reads_it(load_file: Callable[..., Settings]) -> None:
    for file in sorted((ROOT / "stacks").glob("Pulumi.*.yaml")):
        assert stacks.read(file, "s") == load_file(file)


def test_a_setting_without_a_namespace_is_the_projects(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.s.yaml"
    file.write_text("config: {target: docker, ollamamax:portOffset: 7, aws:region: eu-west-1}\n")
    assert stacks.read(file, "s").port_offset == 7


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "stack s: cannot read {file}: No such file or directory"),
        ("config: [", "stack s: {file}, line 1: "),
        ("a: b\n\tc: d", "stack s: {file}, line 2: found character"),
        ("config:\n  a: 1\n  a: 2", "stack s: {file}, line 3: a is given twice"),
        ("a: \x01", "stack s: {file} is not YAML: "),
        ("", "stack s: {file} has no settings: they belong under `config:`"),
        ("config: []", "stack s: {file} has no settings: they belong under `config:`"),
        ("config: {}", "stack s: the settings have 1 problem:\n  target: is missing"),
    ],
)
def test_a_file_that_is_no_stack_file_is_one_message(tmp_path: Path, text: str | None, problem: str) -> None:
    file = tmp_path / "Pulumi.s.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError) as refused:
        stacks.read(file, "s")
    assert str(refused.value).startswith(problem.format(file=file))


def _beyond(limit: Ge | Le) -> tuple[str, str] | tuple[Any, str]:
    if isinstance(limit, Le):
        assert isinstance(limit.le, int)
        return limit.le + 1, "more"
    return (limit.ge - 1 if isinstance(limit.ge, int) else 0.05), "less"
