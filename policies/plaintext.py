"""Plain text where a secret belongs."""

import re
from collections.abc import Iterator

from policies.rule import Resource, rule
from policies.values import SecretText, texts

SHAPES = {
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a token": re.compile(
        r"\b(?:gh[pousr]_\w{36,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,}|sk-[\w-]{20,}|pul-[0-9a-f]{40})"
    ),
    "a password in a URL": re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/:@]+@"),
}
NAME = re.compile(
    r"(passw(or)?d|passphrase|secret(string)?|token|(api|private|access|secret)key|credentials?)$"
)
"""How the names of properties and variables end that hold secrets."""
ENVIRONMENT = re.compile(r"^([A-Z][A-Z0-9_]*)=(.+)$", re.DOTALL)
KUBERNETES_SECRET = "kubernetes:core/v1:Secret"  # noqa: S105 - a type


def _is_named_secret(name: str) -> bool:
    """Tell whether a property or variable of this name holds a secret, not its name, path or id."""
    return NAME.search(re.sub(r"[^a-z]", "", name.lower())) is not None


def _plain(found: Resource) -> Iterator[tuple[str, str]]:
    """Yield the path of every plain string that is, or is called, a secret, and what makes it one."""
    pairs = {path.removesuffix(".name"): text for path, text in texts(found.props) if path.endswith(".name")}
    for path, text in texts(found.props):
        if isinstance(text, SecretText) or not text:
            continue
        variable = ENVIRONMENT.match(text)
        name = re.sub(r"\[\d+\]$", "", path).rpartition(".")[2]
        shape = next((what for what, pattern in SHAPES.items() if pattern.search(text)), None)
        if shape:
            yield path, shape
        elif found.type == KUBERNETES_SECRET and path.startswith(("data.", "stringData.")):
            yield path, "the content of a Secret"
        elif _is_named_secret(name):
            yield path, f"called {name}"
        elif path.endswith(".value") and _is_named_secret(pairs.get(path.removesuffix(".value"), "")):
            yield path, f"the value of {pairs[path.removesuffix('.value')]}"
        elif variable and _is_named_secret(variable[1]):
            yield path, f"the value of {variable[1]}"


@rule(
    "plain-text-secret",
    why="What is not marked as a secret is readable in the state, its backups, every plan and the CI's log.",
    remedy="Wrap it with pulumi.Output.secret, read it with config.require_secret, or let the cloud's "
    "secret store keep it.",
)
def plain_text_secret(found: Resource) -> Iterator[str]:
    """No input holds a secret in plain text."""
    for path, what in _plain(found):
        yield f"{path} is {what}, and no secret"
