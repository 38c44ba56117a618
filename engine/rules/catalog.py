"""The table of a rule set for its README."""

from collections.abc import Iterable
from pathlib import PurePath
from typing import Final

from engine.rules.rule import Rule

_HEAD: Final = ("rule", "severity", "fires when", "mission", "file")


def catalog(rules: Iterable[Rule]) -> str:
    """Return a Markdown table of `rules`, one row each, in the order given."""
    rows = [_HEAD, tuple("---" for _ in _HEAD), *(_row(rule) for rule in rules)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _row(rule: Rule) -> tuple[str, ...]:
    return (
        f"[{rule.name}](#{rule.name})",
        rule.labels.get("severity", ""),
        rule.annotations.get("description", "").replace("|", "\\|"),
        rule.mission.kind if rule.mission else "",
        PurePath(rule.path).name,
    )
