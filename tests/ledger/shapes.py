"""The kinds of rules of a ledger, and when each of them must be true.

Nothing here comes from the engine. Each shape is simple enough to be computed by a few lines, and
between them they have windows, holds, occurrences, sequences, silence, and the second stage.
Rules of the same shape differ in their lot, a number that their signals carry too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.ledger.conditions import burst, chain, gone, held, hot, once, seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.ledger.conditions import Change, Event


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
        burst,
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
        held,
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
        hot,
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
        seen,
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
        chain,
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
        gone,
    ),
    Shape(
        "echo",
        "",
        # Once for each firing of the rule, whenever and in whatever order the second stage hears;
        # one that it hears of twice would end here.
        """
    - name: echo-LOT
      on: [{type: condition}]
      when: signal.data.rule == "chain-LOT" && signal.data.state == "firing"
      by: [cluster, signal.data.firing]
      over: 3650d
      measure: {n: {fn: count}}
      having: m.n == 1
      mission: {kind: incident-response, params: {symptom: chained}}
      labels: {severity: high}
""",
        lambda _: [],
        caused=True,
    ),
    Shape(
        "marked",
        "mark",
        """
    - name: marked-LOT
      on: [{type: metric, metrics: [mark-LOT]}]
      when: signal.value > 0.5
      by: [cluster, node]
      labels: {severity: low}
""",
        once,
    ),
    Shape(
        "stamped",
        "stamp",
        """
    - name: stamped-LOT
      on: [{type: metric, metrics: [stamp-LOT]}]
      when: signal.value > 0.5
      by: [cluster, node]
      labels: {severity: high}
""",
        once,
    ),
    Shape(
        "pair",
        "",
        # What neither of the two ever takes back comes together in whatever order it is heard.
        """
    - name: pair-LOT
      correlate:
        all: [marked-LOT, stamped-LOT]
        on: [cluster, node]
      mission: {kind: incident-response, params: {symptom: marked and stamped}}
      labels: {severity: high}
""",
        lambda _: [],
        caused=True,
    ),
)
ECHO, ECHOED = "echo", "chain"
PAIR, PAIRED = "pair", ("marked", "stamped")
SECOND = frozenset({ECHO, PAIR})
"""Shapes of the second stage: the ledger says that they fire, but not at which instant."""
CAUSED = frozenset(one.name for one in SHAPES if one.caused)
"""Shapes of rules with a mission."""
PAGED = frozenset(one.name for one in SHAPES if one.paged)


def conditions(stream: str, own: Sequence[Event]) -> Iterator[tuple[str, list[Change]]]:
    """Yield each shape over signals of `stream`, and when it is true and false for one key."""
    for shape in SHAPES:
        if shape.stream == stream:
            yield shape.name, shape.changes(own)
