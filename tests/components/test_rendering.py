"""Rendering of templates."""

from pathlib import Path

import jinja2
import pulumi
import pytest

from components import rendering


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a template with one variable."""
    (tmp_path / "some.conf.j2").write_text("value {{ value }};\n")
    monkeypatch.setattr(rendering._environment, "loader", jinja2.FileSystemLoader(tmp_path))
    return "some.conf.j2"


def test_a_forgotten_variable_is_an_error(template: str) -> None:
    with pytest.raises(jinja2.UndefinedError, match="'value' is undefined"):
        rendering.render(template)


def test_a_configuration_file_is_not_html(template: str) -> None:
    assert rendering.render(template, value='<a> & "b"') == 'value <a> & "b";\n'


def test_a_file_is_as_secret_and_as_late_as_what_is_in_it(template: str) -> None:
    seen = {}

    async def look() -> None:
        for kind in (pulumi.Output.secret, pulumi.Output.from_input):
            file = rendering.render_input(template, value=kind("x"))
            assert isinstance(file, pulumi.Output)
            seen[kind.__name__] = (await file.future(), await file.is_secret())

    def build() -> pulumi.Output[None]:
        return pulumi.Output.from_input(look())

    pulumi.runtime.test(build)()  # type: ignore[no-untyped-call]
    assert rendering.render_input(template, value="x") == "value x;\n"
    assert seen == {"secret": ("value x;\n", True), "from_input": ("value x;\n", False)}
