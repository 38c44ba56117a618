"""Named time intervals of all files, and the rules that keep still in them."""

from collections.abc import Iterable, Mapping
from typing import Final

from engine.rules.draft import Draft, entries, items
from engine.rules.grammar_actions import INTERVAL
from engine.rules.rule import Interval
from engine.rules.schedules import check_timezone
from engine.rules.shapes import Items, Span
from engine.rules.shaping import Notes
from engine.rules.spans import parse_span
from engine.rules.wording import quoted, unknown
from engine.rules.yaml import Node

_SPANS: Final[Mapping[str, Span]] = {
    name: field.shape.of
    for name, field in INTERVAL.fields.items()
    if isinstance(field.shape, Items) and isinstance(field.shape.of, Span)
}
_DAY: Final = 24 * 60


def intervals(groups: Iterable[tuple[Node | None, Notes]]) -> Mapping[str, Interval]:
    """Return the intervals of all files by name.

    Args:
        groups: the node `spec.intervals` of each group, and the notes of its file.
    """
    found: dict[str, Interval] = {}
    first: dict[str, str] = {}
    for node, notes in groups:
        for name, one in entries(node).items():
            about = notes.about(f"interval {name}")
            key = node.keys[name] if node is not None and name in node.keys else one
            if name in first:
                about.error(key, f"the name is taken, {first[name]}", "duplicate-name")
            first.setdefault(name, f"{notes.source.path}:{key.line}")
            found.setdefault(name, _interval(name, one, about))
    return found


def muted(rule: Draft, known: Mapping[str, Interval]) -> tuple[Interval, ...]:
    """Return the intervals of `mute_during`; an unknown one is told."""
    found = []
    for node in items(rule.fields.get("mute_during")):
        name = str(node.value)
        if name in known:
            found.append(known[name])
        else:
            message = unknown("interval", name, known) + "; spec.intervals of any file names them"
            rule.notes.error(node, message, "interval")
    return tuple(found)


def _interval(name: str, node: Node, notes: Notes) -> Interval:
    fields = entries(node)
    if not node.keys.keys() & {"times", *_SPANS}:
        message = f"it holds at all times; give one of times, {', '.join(_SPANS)}"
        notes.error(node, message, "interval")
    if "timezone" in fields:
        check_timezone(fields["timezone"], notes)
    spans = {
        field: tuple(parse_span(str(one.value), span) for one in items(fields.get(field)))
        for field, span in _SPANS.items()
    }
    return Interval(
        name,
        timezone=str(fields["timezone"].value) if "timezone" in fields else "UTC",
        times=tuple(_time(one, notes) for one in items(fields.get("times"))),
        **spans,
    )


def _time(node: Node, notes: Notes) -> tuple[int, int]:
    fields = entries(node)
    start, end = (
        _minutes(str(fields[name].value)) if name in fields else default
        for name, default in (("start_time", 0), ("end_time", _DAY))
    )
    if start >= end and len(fields) > 1:
        shown = f"{fields['start_time'].value} to {fields['end_time'].value}"
        message = f"{quoted(shown)} ends before it starts; split it at midnight"
        notes.error(node, message, "interval")
    return start, end


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)
