"""How components are written: what a review would otherwise have to look for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "components"
COMPONENTS = sorted(file for file in FOLDER.rglob("*.py") if file.stem != "__init__")
LONGEST_FILE = 300
LONGEST_PROGRAM = 40


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    """Yield the classes that are component resources, each with the module of its type token."""
    for file in COMPONENTS:
        module = "index" if file.parent == FOLDER else file.parent.name
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef) and "ComponentResource" in map(_last_name, node.bases):
                yield module, node


def named(file: Path) -> str:
    """Return how a component's file is called in the tests' names."""
    return str(file.relative_to(FOLDER).with_suffix(""))


def calls(node: ast.AST, name: str) -> list[ast.Call]:
    return [one for one in ast.walk(node) if isinstance(one, ast.Call) and _last_name(one.func) == name]


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


@pytest.mark.parametrize("file", COMPONENTS, ids=named)
def test_every_file_has_its_tests(file: Path) -> None:
    tests = Path(__file__).parent / file.relative_to(FOLDER).with_name(f"test_{file.name}")
    assert tests.exists(), f"{file.name} needs {tests.name}"
    functions = [node for node in ast.walk(ast.parse(tests.read_text())) if isinstance(node, ast.FunctionDef)]
    assert any(function.name.startswith("test_") for function in functions)


@pytest.mark.parametrize("file", COMPONENTS, ids=named)
def test_a_file_can_be_read_at_one_sitting(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= LONGEST_FILE


def test_the_program_only_loads_builds_and_exports() -> None:
    assert len((ROOT / "__main__.py").read_text().splitlines()) <= LONGEST_PROGRAM


def test_type_tokens_are_literals_named_after_their_class() -> None:
    tokens = []
    for module, one in classes():
        (call,) = calls(one, "__init__")
        token = call.args[0]
        assert isinstance(token, ast.Constant), f"{one.name} computes its type token"
        assert token.value == f"ollamamax:{module}:{one.name}"
        tokens.append(token.value)
    assert len(tokens) == len(set(tokens)) >= 10


def test_every_component_registers_its_outputs() -> None:
    for _, one in classes():
        assert len(calls(one, "register_outputs")) == 1, f"{one.name} never finishes its registration"


def test_only_the_settings_read_configuration_and_only_the_program_exports() -> None:
    for file in [*COMPONENTS, *(ROOT / "ops").glob("*.py")]:
        tree = ast.parse(file.read_text())
        assert not calls(tree, "Config"), f"{file.name} reads the stack's configuration"
        assert not calls(tree, "export"), f"{file.name} exports an output"
