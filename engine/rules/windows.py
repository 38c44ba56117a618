"""Windows and what is measured in them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from engine.model.instant import parse_duration
from engine.rules.cel.types import DYN, NUMBERS
from engine.rules.draft import entries
from engine.rules.expressions import Scope, compiled
from engine.rules.rule import Measure
from engine.rules.shaping import Notes
from engine.rules.yaml import Node

_NUMERIC: Final = frozenset({*NUMBERS, DYN})
_ANY_VALUE: Final = frozenset({"count", "distinct", "last", "changes"})
_COUNTERS: Final = frozenset({"increase", "rate"})
_OF_COURSES: Final = frozenset({*_COUNTERS, "delta", "changes", "slope", "last"})
"""Measures of how values follow one another: one value of each series says nothing of that."""
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "sliding": ("size",),
    "tumbling": ("size",),
    "session": ("gap", "max"),
}
"""Kind of window -> the lengths that it has, all of them needed."""
_WAYS: Final[Mapping[str, str]] = {
    "size": "a session ends by 'gap' and 'max'",
    "gap": "only a session has a gap; give type: session",
    "max": "only a session has a longest time; give type: session",
}


@dataclass(frozen=True)
class Span:
    """What `over` says: the kind, its length in microseconds, and the gap of a session."""

    window: str = "sliding"
    over_us: int = 0
    gap_us: int = 0


def span(node: Node | None, notes: Notes) -> Span:
    """Return the window of the node `over`; what does not belong together is told."""
    if node is None:
        return Span()
    if not isinstance(node.value, dict):
        return Span(over_us=_us(node))
    fields = entries(node)
    kind = str(fields["type"].value) if "type" in fields else "sliding"
    if "type" in node.keys and "type" not in fields:
        return Span()
    wanted = _FIELDS[kind]
    for name in wanted:
        if name not in node.keys:
            message = f"a {kind} window needs '{name}'{_like(kind)}"
            notes.error(node, message, "window")
    for name in [name for name in _WAYS if name in node.keys and name not in wanted]:
        message = f"a {kind} window has no '{name}': {_WAYS[name]}"
        notes.error(node.keys[name], message, "window")
    lengths = {name: _us(fields[name]) for name in wanted if name in fields}
    if kind == "session" and 0 < lengths.get("max", 0) < lengths.get("gap", 0):
        message = "'max' is shorter than 'gap': every session would be cut"
        notes.error(fields["max"], message, "window")
    return Span(kind, lengths.get("size", lengths.get("max", 0)), lengths.get("gap", 0))


def _like(kind: str) -> str:
    session = "{type: session, gap: 5m, max: 1h}"
    return f", for example {session if kind == 'session' else f'{{type: {kind}, size: 5m}}'}"


def _us(node: Node) -> int:
    return parse_duration(str(node.value))


def measures(nodes: Mapping[str, Node], scope: Scope, notes: Notes) -> tuple[Measure, ...]:
    """Return the measures of a rule, in the order written."""
    return tuple(_measure(name, node, scope, notes) for name, node in nodes.items())


def _measure(name: str, node: Node, scope: Scope, notes: Notes) -> Measure:
    fields = entries(node)
    fn = str(fields["fn"].value) if "fn" in fields else ""
    for place, problem in _misfits(fn, node):
        notes.error(place, f"measure {name}: {problem}", "measure")
    of = compiled(fields.get("of"), scope, notes, boolean=False)
    where = compiled(fields.get("where"), scope, notes)
    if of is not None and fn and fn not in _ANY_VALUE and of.type not in _NUMERIC:
        notes.error(fields["of"], f"measure {name}: {fn} needs a number, not {of.type}", "measure")
    initial, latest = (_is_set(fields, flag) for flag in ("count_initial", "latest"))
    return Measure(name, fn, of, where, count_initial=initial, latest=latest)


def _is_set(fields: Mapping[str, Node], flag: str) -> bool:
    return flag in fields and fields[flag].value is True


def _misfits(fn: str, node: Node) -> Iterable[tuple[Node, str]]:
    keys = node.keys
    if fn and fn != "count" and "of" not in keys:
        yield node, f"{fn} needs 'of', the value to aggregate"
    if fn == "count" and "of" in keys:
        yield keys["of"], "count takes no 'of'; to count some signals use 'where'"
    if "count_initial" in keys and fn not in _COUNTERS:
        yield keys["count_initial"], "'count_initial' is for increase and rate only"
    if "latest" in keys and fn in _OF_COURSES:
        yield keys["latest"], f"{fn} looks at more than the latest signal: it takes no 'latest'"
