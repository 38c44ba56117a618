"""The core of a rule: exactly one, and only with the fields that mean something beside it."""

from collections.abc import Iterable, Mapping
from typing import Final

from engine.model.signal import LEVEL_TYPES
from engine.rules.draft import Draft
from engine.rules.rule import Selector

WINDOW: Final = ("over", "measure", "having")
_OF_SIGNALS: Final = ("when", "by", *WINDOW, "reevaluate")
_CORES: Final = ("absent", "sequence", "correlate", "schedule")
_FOREIGN: Final[Mapping[str, Mapping[str, str]]] = {
    "absent": {
        "when": "say in 'on' which signals are a sign of life",
        **dict.fromkeys(WINDOW, "the time of an absence is its 'within'"),
        "reevaluate": "an absence is found in time anyway; leave it out",
        "on_nodata": "silence is what 'absent' is about; leave it out",
    },
    "sequence": {
        "when": "put it into the 'when' of the steps",
        **dict.fromkeys(WINDOW, "the time of a sequence is its 'within'"),
        "reevaluate": "a sequence moves with signals and its time-out; leave it out",
        "on_nodata": "a completed sequence ends after 'stale_after'; leave it out",
    },
    "correlate": {
        "on": "the rules that it names say which signals; leave it out",
        "when": "put conditions into the rules that it names",
        "by": "the labels in its own 'on' are the group key; leave it out",
        **dict.fromkeys(WINDOW, "the time of a correlation is its 'within'"),
        "clear": "it ends with the firings that it names; leave it out",
        "reevaluate": "it moves with the firings that it names; leave it out",
        "on_nodata": "it ends with the firings that it names; leave it out",
    },
    "schedule": {
        "for": "each instant of the schedule is a firing; to hold before it, leave out 'schedule'",
        "keep_firing_for": "each instant of the schedule is a firing of its own; leave it out",
        "clear": "each instant of the schedule is a firing of its own; leave it out",
        "on_nodata": "a schedule looks at the last result, however old; leave it out",
    },
}
"""Core -> field that has no meaning beside it -> the way out."""
_OCCURRENCES: Final[Mapping[str, str]] = {
    "reevaluate": "an occurrence does not change with time; leave it out",
    "on_nodata": "an occurrence ends after 'stale_after'; leave it out",
}


def core(rule: Draft) -> str:
    """Return the core of the rule: when, or the one that is written; a second one is told."""
    written = [name for name in _CORES if name in rule.node.keys]
    for other in written[1:]:
        message = f"'{written[0]}' and '{other}' are two cores; a rule has one: make two rules"
        rule.notes.error(rule.node.keys[other], message, "core")
    return written[0] if written else "when"


def drop_foreign(rule: Draft, kind: str) -> Draft:
    """Return the rule without the fields that mean nothing beside its core, each told.

    What comes from the defaults of the group is left out in silence.
    """
    foreign = _FOREIGN.get(kind, {})
    for name in foreign.keys() & rule.node.keys.keys():
        message = f"'{name}' and '{kind}' do not go together: {foreign[name]}"
        rule.notes.error(rule.node.keys[name], message, "core")
    return rule.without(foreign) if foreign else rule


def check_condition(rule: Draft, kind: str, selectors: Iterable[Selector]) -> Draft:
    """Check that a rule that looks at signals has a condition, whole, and for such signals.

    What is returned lacks the fields that mean nothing for such signals.
    """
    notes, node = rule.notes, rule.node
    window = [name for name in WINDOW if rule.wrote(name)]
    lacking = [name for name in WINDOW if not rule.wrote(name)]
    if window and lacking:
        message = f"'{window[0]}' needs {' and '.join(repr(name) for name in lacking)} beside it"
        notes.error(node.keys.get(window[0], node), message, "window")
    if kind in {"absent", "sequence", "correlate"} or window:
        return rule
    types = {selector.type for selector in selectors}
    levels = bool(types & LEVEL_TYPES)
    if levels and not rule.wrote("when"):
        message = (
            "no condition: give 'when', or 'over', 'measure' and 'having', or 'absent', "
            "or 'sequence'"
        )
        notes.error(node, message, "condition")
    if levels or not types:
        return rule
    for name, way in _OCCURRENCES.items():
        if name in node.keys:
            message = f"'{name}' is for levels and windows: {way}"
            notes.error(node.keys[name], message, "core")
    return rule.without(_OCCURRENCES)


def check_stream(rule: Draft, kind: str) -> Draft:
    """Check that the rule says which signals it sees; only a schedule can do without any.

    What is returned lacks the fields that mean nothing without signals.
    """
    notes, node = rule.notes, rule.node
    if rule.wrote("on") or kind in {"sequence", "correlate"}:
        return rule
    if kind != "schedule":
        notes.error(node, "field 'on' of the rule is missing", "missing")
        return rule
    for name in _OF_SIGNALS:
        if name in node.keys:
            message = f"'{name}' needs 'on': of which signals?"
            notes.error(node.keys[name], message, "core")
    return rule.without(_OF_SIGNALS)
