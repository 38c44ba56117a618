"""What a rule launches: the kind with its parameters, where, and what the mission may do."""

from typing import Any

from engine.rules.actions import Known
from engine.rules.draft import Draft, entries
from engine.rules.labels import parse_labels
from engine.rules.parameters import check_parameters
from engine.rules.rule import MissionOrder
from engine.rules.shaping import Notes
from engine.rules.wording import quoted, unknown
from engine.rules.yaml import Node

_CHOOSE = ("clusters", "groups", "labels")
_AS_WRITTEN = ("mode", "approval", "dedup_key", "advise")


def mission(rule: Draft, known: Known) -> MissionOrder | None:
    """Return what the rule launches; its kind and parameters must be known ones.

    A kind that can not run yet is none: the rule only tells.
    """
    node = rule.fields.get("mission")
    fields = entries(node)
    if node is None:
        return None
    _check_approval(node, rule.notes)
    targets = _targets(fields.get("targets"), rule.notes)
    if "kind" not in fields or not _runs(node, known, rule.notes):
        return None
    return MissionOrder(
        kind=str(fields["kind"].value),
        params={name: value.plain() for name, value in entries(fields.get("params")).items()},
        targets=targets,
        **{name: str(fields[name].value) for name in _AS_WRITTEN if name in fields},
    )


def _runs(node: Node, known: Known, notes: Notes) -> bool:
    """Check kind and parameters; return whether missions of the kind can be launched."""
    written = entries(node)["kind"]
    kind = str(written.value)
    if known.kinds is None:
        return True
    shape = known.kinds.get(kind)
    if shape is None:
        notes.error(written, unknown("mission kind", kind, known.kinds), "mission-kind")
        return False
    check_parameters(kind, shape, node, notes)
    if shape.later:
        message = f"mission kind {quoted(kind)} comes later: until then the rule only tells"
        notes.warn(written, message, "mission-later")
    return not shape.later


def _check_approval(node: Node, notes: Notes) -> None:
    fields = entries(node)
    mode, approval = fields.get("mode"), fields.get("approval")
    if mode is None and "mode" in node.keys:
        return
    applies = mode is not None and mode.value == "apply"
    if applies and mode is not None and "approval" not in node.keys:
        message = "'apply' without approval: add 'approval: person', or 'policy'"
        notes.error(mode, message, "no-approval")
    if approval is not None and not applies:
        shown = "report" if mode is None else str(mode.value)
        message = f"mode {shown} changes nothing, so there is nothing to approve"
        notes.warn(approval, message, "idle")


def _targets(node: Node | None, notes: Notes) -> dict[str, Any]:
    fields = entries(node)
    if node is None:
        return {}
    every = "all" in fields and fields["all"].value is True
    chosen = [name for name in _CHOOSE if name in fields]
    if every and chosen:
        message = f"'all' leaves nothing to choose: leave it out, or {', '.join(chosen)}"
        notes.error(fields["all"], message, "targets")
    elif not every and not chosen:
        notes.error(node, "no cluster: give clusters, groups, labels or 'all: true'", "targets")
    if "labels" in fields:
        try:
            parse_labels(str(fields["labels"].value))
        except ValueError as error:
            notes.error(fields["labels"], str(error), "labels")
    return {name: value.plain() for name, value in fields.items()}
