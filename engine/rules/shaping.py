"""A document is held against the grammar: every fault is told, and what is sound remains."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from engine.model.errors import Fault
from engine.model.instant import parse_duration
from engine.rules.shapes import (
    MAX_TEXT,
    Anything,
    Duration,
    Either,
    Expression,
    Flag,
    Items,
    Record,
    Shape,
    Span,
    Table,
    Text,
    Whole,
)
from engine.rules.spans import parse_span
from engine.rules.wording import choices, guess, printable, quoted, unknown
from engine.rules.yaml import MAX_FAULTS, Broken, Node, Source

_MAX_DURATION: Final = "3650d"
_DURATION_CHARS: Final = 32


@dataclass(frozen=True)
class Notes:
    """Where faults of one file are written down; `subject` heads each message."""

    source: Source
    subject: str = ""
    faults: list[Fault] = field(default_factory=list)

    def about(self, subject: str) -> "Notes":
        """Return the same notes with another subject."""
        return replace(self, subject=subject)

    def error(self, node: Node, message: str, code: str, *, offset: int | None = None) -> None:
        """Note an error at `node`, or at character `offset` of its text."""
        self._add(node, message, code, offset, "error")

    def warn(self, node: Node, message: str, code: str, *, offset: int | None = None) -> None:
        """Note a warning at `node`, or at character `offset` of its text."""
        self._add(node, message, code, offset, "warning")

    def _add(self, node: Node, message: str, code: str, offset: int | None, severity: str) -> None:
        # Warnings have a limit of their own: however many, they are no error and hide none.
        count = sum(one.severity == severity for one in self.faults)
        if count > MAX_FAULTS:
            return
        if count == MAX_FAULTS:
            message = f"{MAX_FAULTS} {severity}s already; the rest is not shown"
        place = (node.line, node.column) if offset is None else self.source.place(node, offset)
        head = f"{self.subject}: " if self.subject else ""
        told = printable(head + message)
        self.faults.append(Fault(self.source.path, *place, told, severity, code))


def sound(node: Node, shape: Shape, notes: Notes) -> Node | None:
    """Return the part of `node` that has the shape, None where nothing of it has.

    Every fault goes to `notes`. What is returned holds known fields of the right shape only;
    a required field may be missing, which was told.
    """
    if node.value is Broken.VALUE:
        return None
    return _CHECKERS[type(shape)](node, shape, notes)


def found(node: Node) -> str:
    """Return in a few words what `node` is."""
    value = node.value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"text {quoted(value)}"
    if isinstance(value, int | float):
        return f"number {value}"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, tuple) else "nothing"


def _expected(node: Node, what: str, notes: Notes) -> None:
    notes.error(node, f"expected {what}, found {found(node)}", "type")


def _text(node: Node, shape: Text, notes: Notes) -> Node | None:
    value = node.value
    if not isinstance(value, str):
        what = shape.hint or f"one of {choices(shape.choices)}"
        scalar = isinstance(value, bool | int | float)
        fits = scalar and re.fullmatch(shape.pattern or ".*", str(value)) is not None
        quote = "; put it in quotes" if fits else ""
        notes.error(node, f"expected {what}, found {found(node)}{quote}", "type")
    elif len(value) > MAX_TEXT:
        notes.error(node, f"text of {len(value)} characters; at most {MAX_TEXT}", "size")
    elif shape.choices and value not in shape.choices:
        near = guess(value, shape.choices) or shape.advice
        message = f"unknown {shape.noun} {quoted(value)}; {_one_of(shape)}{near}"
        notes.error(node, message, "choice")
    elif shape.pattern and not re.fullmatch(shape.pattern, value):
        notes.error(node, f"expected {shape.hint}, found {quoted(value)}", "pattern")
    else:
        return node
    return None


def _one_of(shape: Text) -> str:
    return f"allowed: {choices(shape.choices)}"


def _expression(node: Node, _: Expression, notes: Notes) -> Node | None:
    return _text(node, Text(hint="a CEL expression (a text)"), notes)


def _flag(node: Node, _: Flag, notes: Notes) -> Node | None:
    if isinstance(node.value, bool):
        return node
    _expected(node, "true or false", notes)
    return None


def _whole(node: Node, shape: Whole, notes: Notes) -> Node | None:
    value = node.value
    if type(value) is int and shape.least <= value <= shape.most:
        return node
    _expected(node, f"a whole number from {shape.least} to {shape.most}", notes)
    return None


def _duration(node: Node, shape: Duration, notes: Notes) -> Node | None:
    value = "0" if node.value == 0 and not isinstance(node.value, bool) else node.value
    if not isinstance(value, str) or len(value) > _DURATION_CHARS:
        _expected(node, "a duration such as 30s, 5m or 1h30m", notes)
        return None
    try:
        length = parse_duration(value)
    except ValueError:
        message = f"{quoted(value)} is no duration; write for example 30s, 5m, 1h30m or 7d"
        notes.error(node, message, "duration")
        return None
    if length > parse_duration(_MAX_DURATION) or (length == 0 and not shape.zero):
        least = "0" if shape.zero else "1ms"
        notes.error(node, f"duration {quoted(value)}; from {least} to {_MAX_DURATION}", "duration")
        return None
    return replace(node, value=value)


def _span(node: Node, shape: Span, notes: Notes) -> Node | None:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, str | int):
        _expected(node, f"a {shape.noun} or a range of them", notes)
        return None
    try:
        parse_span(str(value), shape)
    except ValueError as error:
        notes.error(node, str(error), "range")
        return None
    return node


def _anything(node: Node, _: Anything, __: Notes) -> Node | None:
    return None if any(part.value is Broken.VALUE for part in _parts(node)) else node


def _parts(node: Node) -> Iterator[Node]:
    yield node
    if isinstance(node.value, dict):
        for part in node.value.values():
            yield from _parts(part)
    elif isinstance(node.value, tuple):
        for part in node.value:
            yield from _parts(part)


def _items(node: Node, shape: Items, notes: Notes) -> Node | None:
    if not isinstance(node.value, tuple):
        _expected(node, "a list", notes)
        return None
    count = len(node.value)
    if count < shape.least or count > (shape.most or count):
        notes.error(node, _count(count, shape), "empty" if not count else "count")
        return None
    kept = (sound(item, shape.of, notes) for item in node.value)
    return replace(node, value=tuple(item for item in kept if item is not None))


def _count(count: int, shape: Items) -> str:
    if not count:
        least = "one entry" if shape.least == 1 else f"{shape.least} entries"
        return f"the list is empty; it needs at least {least}"
    entries = "1 entry" if count == 1 else f"{count} entries"
    most = f" and at most {shape.most}" if shape.most else ""
    return f"the list has {entries}; it needs at least {shape.least}{most}"


def _table(node: Node, shape: Table, notes: Notes) -> Node | None:
    if not isinstance(node.value, dict):
        _expected(node, "a mapping", notes)
        return None
    kept: dict[str, Node] = {}
    for name, item in node.value.items():
        if shape.key and not re.fullmatch(shape.key, name):
            notes.error(node.keys[name], f"expected {shape.hint}, found {quoted(name)}", "pattern")
            continue
        about = notes.about(f"{shape.title} {name}") if shape.title else notes
        if (value := sound(item, shape.of, about)) is not None:
            kept[name] = value
    return replace(node, value=kept)


def _either(node: Node, shape: Either, notes: Notes) -> Node | None:
    return sound(node, shape.long if isinstance(node.value, dict) else shape.short, notes)


def _record(node: Node, shape: Record, notes: Notes) -> Node | None:
    if not isinstance(node.value, dict):
        _expected(node, f"a {shape.name}: a mapping with {choices(shape.fields)}", notes)
        return None
    kept = _title(node.value) if shape.titled else {}
    if shape.titled:
        shown = quoted(str(kept["name"].value))[1:-1] if kept else "without a name"
        notes = notes.about(f"{shape.name} {shown}")
    for name, item in node.value.items():
        if name in shape.fields:
            if (value := sound(item, shape.fields[name].shape, notes)) is not None:
                kept[name] = value
        else:
            _unknown_field(node.keys[name], name, shape, notes)
    for name, known in shape.fields.items():
        if known.required and name not in node.value:
            notes.error(node, f"field '{name}' of the {shape.name} is missing", "missing")
    return replace(node, value=kept)


def _title(fields: Mapping[str, Node]) -> dict[str, Node]:
    """Return the name, even an unsound one: all that is said of the rule is said by it."""
    title = fields.get("name")
    return {"name": title} if title is not None and isinstance(title.value, str) else {}


def _unknown_field(key: Node, name: str, shape: Record, notes: Notes) -> None:
    if name in shape.later:
        message = f"field '{name}' is not supported yet; {shape.later[name]}"
        notes.error(key, message, "unsupported")
    else:
        message = unknown("field", name, shape.fields, of=f"the {shape.name}")
        notes.error(key, message, "unknown-field")


_CHECKERS: Mapping[type, Callable[[Node, Any, Notes], Node | None]] = {
    Text: _text,
    Expression: _expression,
    Flag: _flag,
    Whole: _whole,
    Duration: _duration,
    Span: _span,
    Anything: _anything,
    Items: _items,
    Table: _table,
    Either: _either,
    Record: _record,
}
