"""Configuration files from the templates; an unknown variable is an error."""

from pathlib import Path

import jinja2
import pulumi

TEMPLATES = Path(__file__).parent.parent / "templates"

_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    undefined=jinja2.StrictUndefined,
    autoescape=False,  # noqa: S701 - configuration files, not HTML
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **variables: object) -> str:
    """Return ``template`` filled with plain values."""
    return _environment.get_template(template).render(variables)


def render_input(template: str, **variables: pulumi.Input[object]) -> pulumi.Input[str]:
    """Return ``template`` filled with values; if some are secret, or known only later, so is the result."""
    if not any(isinstance(value, pulumi.Output) for value in variables.values()):
        return render(template, **variables)
    return pulumi.Output.all(**variables).apply(lambda values: render(template, **values))
