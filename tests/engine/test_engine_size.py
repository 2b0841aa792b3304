"""The engine stays small: where it would have to grow, the answer is the Pulumi CLI."""

import ast
import io
import tokenize
from pathlib import Path

ENGINE = Path(__file__).parents[2] / "engine"
APART = ("policy*.py", "providers/kubernetes*.py", "simulated/*.py")
"""What only stacks in a cloud need."""
LIMIT = 2_500
SPACE = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)


def code_lines(text: str) -> set[int]:
    """The numbers of the lines that hold code: no blank line, comment or docstring."""
    tokens = [one for one in tokenize.generate_tokens(io.StringIO(text).readline) if one.type not in SPACE]
    lines = {number for one in tokens for number in range(one.start[0], one.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def test_a_line_of_code_is_no_blank_line_comment_or_docstring() -> None:
    assert code_lines('"""Doc."""\n\n# why\nx = [\n    1,\n]\ndef f():\n    """Doc\n    more."""\n') == {
        4,
        5,
        6,
        7,
    }


def test_what_runs_a_stack_on_this_machine_is_small() -> None:
    apart = {file for pattern in APART for file in ENGINE.glob(pattern)}
    count = sum(len(code_lines(file.read_text())) for file in set(ENGINE.rglob("*.py")) - apart)
    assert count <= LIMIT, f"the engine has {count} lines of code"
