"""The kinds of rules of a ledger, and when each of them must be true.

Nothing here comes from the engine. Each shape is simple enough to be computed by a few lines, and
between them they have windows, holds, occurrences, sequences, silence, and the second stage.
Rules of the same shape differ in their lot, a number that their signals carry too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

T0 = datetime(2025, 6, 1, tzinfo=UTC)
SECOND_US = 1_000_000
END_US = 120 * SECOND_US
"""How far heartbeats go on behind the last signal: every timer has run by then."""

Event = dict[str, Any]
Change = tuple[int, bool]
"""From this instant on a condition is true, or false."""


@dataclass(frozen=True)
class Shape:
    """A kind of rule: its name, its text for a lot, the signals that it is made of.

    `kind` is the type of its signals, `stream` their further part in it; `changes` computes of the
    signals of one key when it becomes true and false. `caused`: it starts a mission. `paged`: the
    second sink hears of it too, when it fires.
    """

    name: str
    stream: str
    text: str
    changes: Callable[[Sequence[Event]], list[Change]]
    caused: bool = False
    paged: bool = False


def rules(number: int) -> str:
    """Return a rule file of `number` rules: one of each shape in each lot, the last lot cut off."""
    parts = [_HEAD]
    for place in range(number):
        lot, shape = divmod(place, len(SHAPES))
        parts.append(SHAPES[shape].text.replace("LOT", str(lot)))
    return "".join(parts)


def lots(number: int) -> int:
    """Return how many lots the signals for `number` rules have."""
    return -(-number // len(SHAPES))


def rule_names(number: int) -> frozenset[str]:
    """Return the names of the rules of `rules(number)`."""
    places = (divmod(place, len(SHAPES)) for place in range(number))
    return frozenset(f"{SHAPES[shape].name}-{lot}" for lot, shape in places)


def shape_of(rule: str) -> str:
    """Return the name of the shape of a rule; the whole name of one that is none of the ledger."""
    return rule.rpartition("-")[0] or rule


def instant(time: str) -> int:
    """Return RFC 3339 `time` in microseconds since T0."""
    return (datetime.fromisoformat(time) - T0) // timedelta(microseconds=1)


def _times(own: Sequence[Event]) -> list[int]:
    return [instant(one["time"]) for one in own]


def _burst(own: Sequence[Event]) -> list[Change]:
    """Five in a minute."""
    at = _times(own)
    steps = sorted([*((t, 1) for t in at), *((t + 60 * SECOND_US, -1) for t in at)])
    inside, changes = 0, []
    for t, step in steps:
        inside += step
        changes.append((t, inside >= 5))
    return changes


def _held(own: Sequence[Event]) -> list[Change]:
    """Above 90 for twenty seconds."""
    return _delayed(_levels(own, 90.0), rise=20 * SECOND_US)


def _hot(own: Sequence[Event]) -> list[Change]:
    """Above 95, and fifteen seconds more."""
    return _delayed(_levels(own, 95.0), fall=15 * SECOND_US)


def _seen(own: Sequence[Event]) -> list[Change]:
    """A deletion, until none came for thirty seconds."""
    return _occurrences([instant(one["time"]) for one in own if one["data"]["verb"] == "delete"])


def _chain(own: Sequence[Event]) -> list[Change]:
    """A list after a get within twenty seconds, each get taken once, the earliest first."""
    begun: list[int] = []
    whole = []
    for one in own:
        at = instant(one["time"])
        begun = [first for first in begun if at - first <= 20 * SECOND_US]
        if one["data"]["verb"] == "get":
            begun.append(at)
        elif one["data"]["verb"] == "list" and begun:
            begun.pop(0)
            whole.append(at)
    return _occurrences(whole)


def _gone(own: Sequence[Event]) -> list[Change]:
    """Not heard of for twenty seconds, once known."""
    at, changes = _times(own), []
    for t, after in zip(at, [*at[1:], at[-1] + END_US], strict=True):
        changes.append((t, False))
        if after - t > 20 * SECOND_US:
            changes.append((t + 20 * SECOND_US, True))
    return changes


def _levels(own: Sequence[Event], limit: float) -> list[Change]:
    return [(instant(one["time"]), one["data"]["value"] > limit) for one in own]


def _occurrences(at: Sequence[int], stale_us: int = 30 * SECOND_US) -> list[Change]:
    """Return when something that happened at those times is true: until none came for long."""
    ends = [t + stale_us for t in at]
    nexts = [*at[1:], ends[-1] + 1] if ends else []
    gaps = [(end, False) for end, after in zip(ends, nexts, strict=True) if after > end]
    return sorted([*((t, True) for t in at), *gaps])


def _delayed(changes: Sequence[Change], rise: int = 0, fall: int = 0) -> list[Change]:
    """Return `changes` as they are after a hold: true for `rise` before it counts, or false."""
    edges = [one for i, one in enumerate(changes) if i == 0 or one[1] != changes[i - 1][1]]
    ends = [*(at for at, _ in edges[1:]), edges[-1][0] + END_US]
    found = []
    for (at, true), end in zip(edges, ends, strict=True):
        hold = rise if true else fall
        if end - at > hold:
            found.append((at + hold, true))
    return found


_HEAD = """\
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: ledger, owner: sre}
spec:
  defaults: {settle: 0s, cooldown: 0s}
  rules:
"""
SHAPES = (
    Shape(
        "burst",
        "alert",
        """
    - name: burst-LOT
      on: [{type: alert}]
      when: signal.data.lot == LOT
      by: [cluster, name]
      over: 1m
      measure: {n: {fn: count}}
      having: m.n >= 5
      mission: {kind: incident-response, params: {symptom: "{{ m.n }} alerts of {{ key.name }}"}}
      labels: {severity: critical}
""",
        _burst,
        caused=True,
        paged=True,
    ),
    Shape(
        "held",
        "busy",
        """
    - name: held-LOT
      on: [{type: metric, metrics: [busy-LOT]}]
      when: signal.value > 90.0
      by: [cluster, labels.node]
      for: 20s
      settle: 3s
      mission: {kind: incident-response, params: {symptom: busy}}
      labels: {severity: high}
""",
        _held,
        caused=True,
    ),
    Shape(
        "hot",
        "busy",
        """
    - name: hot-LOT
      on: [{type: metric, metrics: [busy-LOT]}]
      when: signal.value > 95.0
      by: [cluster, labels.node]
      keep_firing_for: 15s
      labels: {severity: low}
""",
        _hot,
    ),
    Shape(
        "seen",
        "audit",
        """
    - name: seen-LOT
      on: [{type: audit}]
      when: signal.data.resource == "lot-LOT" && signal.data.verb == "delete"
      by: [cluster, name]
      stale_after: 30s
      mission: {kind: incident-response, params: {symptom: deletions}}
      labels: {severity: critical}
""",
        _seen,
        caused=True,
        paged=True,
    ),
    Shape(
        "chain",
        "audit",
        """
    - name: chain-LOT
      by: [cluster, name]
      sequence:
        within: 20s
        steps:
          - id: look
            on: [{type: audit}]
            when: signal.data.resource == "lot-LOT" && signal.data.verb == "get"
          - id: list
            on: [{type: audit}]
            when: signal.data.resource == "lot-LOT" && signal.data.verb == "list"
      stale_after: 30s
      labels: {severity: high}
""",
        _chain,
    ),
    Shape(
        "gone",
        "pulse",
        """
    - name: gone-LOT
      on: [{type: metric, metrics: [pulse-LOT]}]
      by: [cluster, labels.node]
      absent: {expect: seen, within: 20s}
      labels: {severity: low}
""",
        _gone,
    ),
    Shape(
        "echo",
        "",
        # Once for each firing of the rule, whenever and in whatever order the second stage hears.
        """
    - name: echo-LOT
      on: [{type: condition}]
      when: signal.data.rule == "chain-LOT" && signal.data.state == "firing"
      by: [cluster, signal.data.firing]
      over: 3650d
      measure: {n: {fn: count}}
      having: m.n >= 1
      mission: {kind: incident-response, params: {symptom: chained}}
      labels: {severity: high}
""",
        lambda _: [],
        caused=True,
    ),
)
ECHO, ECHOED = "echo", "chain"
CAUSED = frozenset(one.name for one in SHAPES if one.caused)
"""Shapes of rules with a mission."""
PAGED = frozenset(one.name for one in SHAPES if one.paged)


def conditions(stream: str, own: Sequence[Event]) -> Iterator[tuple[str, list[Change]]]:
    """Yield each shape over signals of `stream`, and when it is true and false for one key."""
    for shape in SHAPES:
        if shape.stream == stream:
            yield shape.name, shape.changes(own)


def spans(changes: Iterable[Change]) -> Iterator[tuple[int, int | None]]:
    """Yield from when to when the condition is true; None: it still is in the end."""
    opened = None
    for at, true in changes:
        if true and opened is None:
            opened = at
        elif not true and opened is not None:
            yield opened, at
            opened = None
    if opened is not None:
        yield opened, None
