"""Every rule refuses the bad file made for it, with exactly the message that stands beside the file.

``bad/NAME.yaml`` is the stack file and ``bad/NAME.txt`` the problems, one a line. Where it matters what the
stack is called, the file says so under ``stack``.
"""

import ast
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pydantic import ValidationError

from stacks import Settings, budgets, loading

BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))


def expected(file: Path) -> list[str]:
    return file.with_suffix(".txt").read_text().splitlines()


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_file_is_refused_with_its_message(load_file: Callable[..., Settings], file: Path) -> None:
    stack = yaml.safe_load(file.read_text()).get("stack", "some-stack")
    with pytest.raises(pulumi.RunError) as refused:
        load_file(file, stack)
    title, *problems = str(refused.value).splitlines()
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    assert title == f"stack {stack}: the settings have {count}:"
    assert problems == [f"  {line}" for line in expected(file)]


def test_every_kind_of_limit_has_a_bad_file() -> None:
    described = {
        node.value.value
        for node in ast.walk(ast.parse(inspect.getsource(loading._describe)))
        if isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant)
    }
    met: set[str] = set()
    for file in BAD:
        try:
            Settings.model_validate_json(json.dumps(_raw(file)), by_alias=True, by_name=False)
        except ValidationError as error:
            met |= {detail["type"] for detail in error.errors()}
    assert met == described, "each kind in loading._describe needs a bad file, and each kind met a message"


def test_every_budget_has_a_bad_file() -> None:
    lines = [line for file in BAD for line in expected(file)]
    modules = sorted(Path(budgets.__file__).parent.glob("*.py"))
    sentences = [
        _as_pattern(node.value)
        for module in modules
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.JoinedStr | ast.Constant)
    ]
    assert len(sentences) >= 40
    unmet = [pattern for pattern in sentences if not any(re.fullmatch(pattern, line) for line in lines)]
    assert unmet == [], "these sentences of stacks/budgets have no bad file"


def _raw(file: Path) -> dict[str, Any]:
    config = yaml.safe_load(file.read_text())["config"]
    return {key.removeprefix("ollamamax:"): value for key, value in config.items()}


def _as_pattern(sentence: ast.JoinedStr | ast.Constant) -> str:
    """Return a regular expression for what a string, formatted or plain, can become."""
    parts = sentence.values if isinstance(sentence, ast.JoinedStr) else [sentence]
    return "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in parts)
