"""Writes ``docs/policies.md`` from the policy pack itself: ``python -m ops.policies_page FILE``."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ops.page import run
from policies.exposure import EXPOSURE
from policies.pack import MODULES, NAME, RULES
from policies.rule import Rule
from policies.workloads import API_USER

ROOT = Path(__file__).resolve().parent.parent
HEADER = f"""\
<!-- Made by `make docs` from policies/ and stacks/policies.*.json: do not edit. -->
# Policies

The policy pack `{NAME}` in `policies/` has {len(RULES)} rules. `make preview` and `make up` run it, under the
Pulumi CLI and the embedded engine alike. It checks every resource before it is touched, and the stack as a
whole at the end. A preview lists everything that breaks a rule, and fails if one of those rules is mandatory;
an update stops before it touches the resource. Advisory rules only warn.

A stack sets what differs for it in `stacks/policies.<stack>.json`: a rule's level (`mandatory`, `advisory`,
`disabled`), or an object with `enforcementLevel` and the rule's settings.

```json
{{
  "multi-zone": "advisory",
  "blast-radius": {{"allowReplace": ["aws:rds/instance:Instance"]}}
}}
```

Some things are allowed if they are marked, so that a review sees the mark:

* the tag `exposure=edge`, on a Kubernetes Service the annotation `{EXPOSURE}: edge`, on what is meant to be
  reached from outside;
* the pod annotation `{API_USER}`, with the reason why a pod needs the Kubernetes API;
* the setting `allowReplace` of `blast-radius`, `deletion-protection` and `force-destroy`, with what may be
  replaced or deleted on purpose. `make` adds what the stack's setting `policy.allowReplace` names.

A value that a preview does not know yet breaks no rule; the update checks it once it is known.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEADER, *(line for module in MODULES for line in _theme(module)), *_stacks()])


def _theme(module: ModuleType) -> Iterator[str]:
    """Yield the lines about the rules of one module."""
    yield f"## {(module.__doc__ or '').rstrip('.')}\n"
    yield "| Rule | Level | What holds | Why | Remedy |"
    yield "|---|---|---|---|---|"
    for rule in RULES:
        if rule in vars(module).values():
            texts = (text.replace("|", "\\|") for text in (rule.what, rule.why, _remedy(rule)))
            yield f"| `{rule.id}` | {rule.level} | {' | '.join(texts)} |"
    yield ""


def _remedy(rule: Rule) -> str:
    defaults = [f"`{name}` is `{json.dumps(schema['default'])}`" for name, schema in rule.settings.items()]
    return f"{rule.remedy} Unless a stack says otherwise, {', '.join(defaults)}." if defaults else rule.remedy


def _stacks() -> Iterator[str]:
    """Yield the lines about what stacks set differently."""
    yield "## Stacks\n"
    yield "| Stack | Rule | What differs |"
    yield "|---|---|---|"
    for file in sorted((ROOT / "stacks").glob("policies.*.json")):
        for rule, value in json.loads(file.read_text()).items():
            yield f"| {file.name.split('.')[1]} | `{rule}` | `{json.dumps(value)}` |"
    yield ""


if __name__ == "__main__":
    run(page, of="the policy pack")
