"""The generated page about the policies."""

import json
import re
from pathlib import Path

import pytest

from ops import policies_page
from policies.pack import RULES

ROOT = Path(__file__).parents[2]


def test_every_rule_is_on_the_page_once() -> None:
    text = policies_page.page()
    rows = re.findall(r"^\| `([\w-]+)` \| (?:mandatory|advisory) \|", text, re.MULTILINE)
    assert rows == [rule.id for rule in RULES]
    assert f"{len(RULES)} rules" in text


def test_a_row_gives_level_what_why_remedy_and_settings() -> None:
    assert (
        "| `backups` | mandatory | Databases can be restored to any point of the last week, caches to "
        "yesterday's. | A mistake is often found days later; by then a short history is gone. | "
        "Set backupRetentionPeriod (snapshotRetentionLimit) to at least this rule's setting days. "
        "Unless a stack says otherwise, `days` is `7`, `cacheDays` is `1`. |"
    ) in policies_page.page()


@pytest.mark.parametrize(
    "file", sorted((ROOT / "stacks").glob("policies.*.json")), ids=lambda file: str(file.name)
)
def test_what_a_stack_wants_otherwise_is_on_the_page_and_names_rules_and_settings(file: Path) -> None:
    rules = {rule.id: rule for rule in RULES}
    assert (ROOT / "stacks" / f"Pulumi.{file.name.split('.')[1]}.yaml").exists()
    for name, value in json.loads(file.read_text()).items():
        assert f"| {file.name.split('.')[1]} | `{name}` | `{json.dumps(value)}` |" in policies_page.page()
        given = value if isinstance(value, dict) else {"enforcementLevel": value}
        assert given.get("enforcementLevel", "mandatory") in ("mandatory", "advisory", "disabled")
        assert given.keys() - {"enforcementLevel"} <= rules[name].settings.keys()
