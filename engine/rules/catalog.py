"""The table of a rule set for its README."""

from collections.abc import Iterable
from pathlib import PurePath
from typing import Final

from engine.rules.rule import Rule

_HEAD: Final = ("rule", "severity", "signals", "fires when", "mission", "file")


def catalog(rules: Iterable[Rule]) -> str:
    """Return a Markdown table of `rules`, one row each, in the order given."""
    rows = [_HEAD, tuple("---" for _ in _HEAD), *(_row(rule) for rule in rules)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _row(rule: Rule) -> tuple[str, ...]:
    return (
        f"[{rule.name}](#{rule.name})",
        rule.labels.get("severity", ""),
        _signals(rule),
        rule.annotations.get("description", "").replace("|", "\\|"),
        rule.mission.kind if rule.mission else "",
        PurePath(rule.path).name,
    )


def _signals(rule: Rule) -> str:
    """Return which signals the rule sees: `k8s.object` Pod, Node."""
    kinds: dict[str, list[str]] = {}
    for selector in rule.on:
        kinds.setdefault(selector.type, []).extend([*selector.kinds, *selector.metrics])
    return "; ".join(
        " ".join([f"`{type_}`", ", ".join(dict.fromkeys(names))]).strip()
        for type_, names in kinds.items()
    )
