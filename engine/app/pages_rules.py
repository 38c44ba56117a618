"""Rules as the pages show them: their state, their firings, why a key is in its state."""

from engine.rules.rule import Rule
from engine.store.firings import FiringRow
from engine.stream.explain import Explanation, shown
from engine.web.views import FiringLine, GateLine, KeyLine, RuleLine

KEYS = 50
"""Keys shown of one rule."""


def rule_line(rule: Rule, open_: int) -> RuleLine:
    """Return one rule in a list; `open_` of its firings go on."""
    state = "firing" if open_ else "quiet"
    if rule.mode == "shadow":
        state = "shadow"
    return RuleLine(
        name=rule.name,
        group=rule.group,
        state=state if rule.enabled else "off",
        open=open_,
        kind=rule.mission.kind if rule.mission else "",
        file=f"{rule.path}:{rule.line}",
        summary=_summary(rule),
    )


def firing_line(row: FiringRow, mission: str) -> FiringLine:
    """Return one firing; `mission` is what it started."""
    return FiringLine(
        id=row.id,
        key=dict(row.key),
        state=row.state.value,
        opened=row.opened,
        resolved=row.resolved,
        reason=row.reason,
        mission=mission,
    )


def gates(why: Explanation | None) -> list[GateLine]:
    """Return what the key has to pass, none where it is not explained."""
    return [
        GateLine(name=one.name, verdict=one.verdict, says=one.says, details=one.details())
        for one in (why.gates if why else ())
    ]


def keys(why: Explanation | None) -> list[KeyLine]:
    """Return the other keys of the rule, KEYS of them at most."""
    others = why.others[:KEYS] if why else ()
    return [KeyLine(key=shown(key), state=state) for key, state in others]


def _summary(rule: Rule) -> str:
    """Return what the rule is about; its summary is of a firing, with names to be filled in."""
    return rule.annotations.get("description", "") or rule.annotations.get("summary", "")
