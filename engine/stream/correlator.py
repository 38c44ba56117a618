"""Correlator: open firings come together, for the rules that correlate them.

An opening or an end changes one group for each list of labels that a rule correlates on; the
rules that name the firing's rule are then asked whether the group is such as they want it. That
each rule has the firings that it must have is found out by engine.stream.joins; when they opened
is looked at here.

Where the second stage is folded apart, it may learn of a rule after the first stage did: an opening
of a rule that is not known here as it was then waits, in no group, until it is, or until it ends.
"""

import json
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from engine.model.firing import State, Transition
from engine.model.ids import canonical, digest
from engine.model.signal import Signal
from engine.rules.rule import Correlate
from engine.stream.correlation import Correlation, Part
from engine.stream.openings import Group, Labels, Opened, Opening, labels_of, opening_of
from engine.stream.reader import MAX_DEPTH, Reader
from engine.stream.sample import NAMES_SHOWN, Sample

if TYPE_CHECKING:
    from collections import Counter

    from engine.stream.cluster_fold import ClusterFold
    from engine.stream.joins import Joins

MOST_WAITING: Final = 10_000
"""How many openings may wait for their rule when another is heard; the oldest are given up."""
_MARK = "\0"
"""Before the name of a group, where others have that of a series."""


class Change(NamedTuple):
    """A rule must look at a group again: a firing opened, or ended (`cause`, empty: it is new)."""

    reader: Reader
    wanted: Correlate
    key: str
    cause: str = ""
    blocks: bool = False


class Correlator:
    """The open firings, and who wants to know of them.

    Attributes:
        openings: the open firings by id.
        touched: ids of those that opened or ended since the last checkpoint.
        chained: a rule correlates firings of the second stage, which timers may bring about.
    """

    def __init__(self, counters: "Counter[str]") -> None:
        """Start with no firing open, and no rules; `counters` are told what was given up."""
        self.openings: dict[str, Opening] = {}
        self.touched: set[str] = set()
        self.chained = False
        self._counters = counters
        self._waiting: list[Opened] = []
        self._readers: Mapping[str, Reader] = {}
        self._groups: dict[tuple[Labels, str], Group] = {}
        self._naming: dict[str, dict[Labels, list[tuple[Reader, Correlate]]]] = {}
        self._joins: Joins | None = None

    def rebuild(self, readers: Mapping[str, Reader]) -> None:
        """Go on under the rules of `readers`; firings of those that changed or went count no more.

        They wait for their end, which comes of the same change, or for a rule that is like theirs.
        """
        self._readers = readers
        self._waiting.clear()
        self._groups.clear()
        self._naming.clear()
        wanted = [(one, one.rule.correlate) for _, one in sorted(readers.items())]
        found = [(reader, one) for reader, one in wanted if one is not None]
        self._joins = _joins(found)
        for reader, one in found:
            for rule in (*one.members, *one.none):
                self._naming.setdefault(rule, {}).setdefault(one.on, []).append((reader, one))
        self.chained = any(name in readers and readers[name].across for name in self._naming)
        for firing, opening in sorted(self.openings.items()):
            if self._knows(opening):
                self._place(firing, opening)
            else:
                insort(self._waiting, (opening.at, firing))

    def hear(self, signal: Signal) -> list[Change]:
        """Take in a condition; return what must be looked at."""
        data = signal.data
        firing, name = data.get("firing"), data.get("rule")
        if not isinstance(name, str) or not isinstance(firing, str) or not firing:
            return []
        if data.get("state") == State.FIRING:
            opening = self._opening(signal, name)
            return [] if opening is None else self._open(firing, opening)
        return self._close(firing) if data.get("state") == State.RESOLVED else []

    def tell(self, told: Transition) -> list[Change]:
        """Take in what a rule of the second stage told; return what must be looked at."""
        reader = self._readers.get(told.rule)
        if told.state is State.RESOLVED:
            return self._close(told.firing)
        if reader is None or told.state is not State.FIRING:
            return []
        labels = labels_of({"key": told.key, "node": told.node}, reader.rule.labels)
        opening = Opening(told.rule, reader.rule.hash, told.at, labels, told.depth + 1)
        return self._open(told.firing, opening)

    def all(self, fold: "ClusterFold") -> Iterator[Change]:
        """Yield every group that a rule must look at, after the rules changed, in order."""
        for _, reader in sorted(self._readers.items()):
            wanted = reader.rule.correlate
            if wanted is None:
                continue
            keys = {key for labels, key in self._groups if labels == wanted.on}
            for (name, _), cell in fold.cells.items():
                if name == reader.rule.name and isinstance(cell.condition, Correlation):
                    keys |= {_key_of(series) for series in cell.condition.parts}
            yield from (Change(reader, wanted, key) for key in sorted(keys))

    def apply(self, change: Change, fold: "ClusterFold", at: int) -> None:
        """Let the key of the rule in `fold` know at `at` what the group is like now."""
        reader, series = change.reader, _series(change.reader, change.key)
        held = fold.keys.holder(series)
        condition = held[1].condition if held else None
        known = condition.parts.get(series) if isinstance(condition, Correlation) else None
        part = self._part(change, known, at)
        if part == known or (known is None and part is not None and not part.met):
            return
        where, cell = held or fold.keys.of(reader, _values(change.key))
        fold.keys.hold(series, where, cell)
        shown = part or known or Part()
        node = next(iter(shown.nodes)) if len(shown.nodes) == 1 else ""
        met = part is not None and part.met
        fold.put(
            where,
            cell,
            Sample(at, series, "", node, change.cause, met, raws=(part,), depth=shown.depth),
        )

    def _part(self, change: Change, known: Part | None, at: int) -> Part | None:
        """Return what the group is like for the rule; None: no member of it is open."""
        wanted, group = change.wanted, self._groups.get((change.wanted.on, change.key))
        if group is None or not group.count(wanted.members):
            return None
        before = known or Part(after="" if change.cause else f"@{at}")
        met = self._met(change) and group.in_time(wanted)
        members, depth = before.members, before.depth
        if met and not before.met:
            opened = [firing for _, firing in group.of(wanted.members)]
            members = digest(sorted(opened))
            depth = max(self.openings[firing].depth for firing in opened)
            if depth > MAX_DEPTH:
                change.reader.count("too_deep")
                met = False
        shown = zip(range(NAMES_SHOWN), group.of(wanted.members), strict=False)
        return Part(
            met=met,
            members=members,
            after=change.cause if change.blocks and before.met else before.after,
            rules=group.count((*wanted.members, *wanted.none)),
            shown=tuple(firing for _, (_, firing) in shown),
            nodes=group.nodes_of(wanted.members),
            depth=depth,
        )

    def _met(self, change: Change) -> bool:
        return self._joins is not None and self._joins.met(change.reader.rule.name, change.key)

    def _opening(self, signal: Signal, name: str) -> Opening | None:
        """Return the firing that a condition opens; None: that of no rule (a silent watcher).

        A condition that says nothing of its rule's hash is of the rule that is known here.
        """
        reader, data = self._readers.get(name), signal.data
        known = "" if reader is None else reader.rule.hash
        identity = data.get("hash") or known
        if not isinstance(identity, str) or not identity:
            return None
        labels = reader.rule.labels if reader and identity == known else data.get("labels")
        return opening_of(signal, name, identity, labels if isinstance(labels, Mapping) else {})

    def _knows(self, opening: Opening) -> bool:
        """Whether the rule of an opening is known as it was when that opened."""
        reader = self._readers.get(opening.rule)
        return reader is not None and reader.rule.hash == opening.hash

    def _give_up(self) -> None:
        """Let go of the oldest openings that wait, where they are too many."""
        for _, oldest in self._waiting[:-MOST_WAITING]:
            self._counters[f'waited{{rule="{self.openings[oldest].rule}"}}'] += 1
            self._forget(oldest)
        del self._waiting[:-MOST_WAITING]

    def _open(self, firing: str, opening: Opening) -> list[Change]:
        if firing in self.openings:
            return []
        self.openings[firing] = opening
        self.touched.add(firing)
        if not self._knows(opening):
            insort(self._waiting, (opening.at, firing))
            self._give_up()
            return []
        places = self._place(firing, opening)
        return list(self._changes(firing, opening.rule, places, opened=True))

    def _close(self, firing: str) -> list[Change]:
        opening = self.openings.get(firing)
        if opening is None:
            return []
        if not self._knows(opening):
            del self._waiting[bisect_left(self._waiting, (opening.at, firing))]
            self._forget(firing)
            return []
        places = self._places(opening)
        for labels, key in places:
            group = self._groups[labels, key]
            if group.remove(firing, opening) and self._joins is not None:
                self._joins.retract_fact(_name(labels), opening.rule, key)
            if not group.opened:
                del self._groups[labels, key]
        self._forget(firing)
        return list(self._changes(firing, opening.rule, places, opened=False))

    def _forget(self, firing: str) -> None:
        del self.openings[firing]
        self.touched.add(firing)

    def _place(self, firing: str, opening: Opening) -> list[tuple[Labels, str]]:
        places = self._places(opening)
        for labels, key in places:
            group = self._groups.setdefault((labels, key), Group())
            if group.add(firing, opening) and self._joins is not None:
                self._joins.assert_fact(_name(labels), opening.rule, key)
        return places

    def _places(self, opening: Opening) -> list[tuple[Labels, str]]:
        """Return the groups that a firing belongs to."""
        keyed = ((labels, opening.key(labels)) for labels in self._naming.get(opening.rule, ()))
        return [(labels, key) for labels, key in keyed if key is not None]

    def _changes(
        self, firing: str, rule: str, places: Iterable[tuple[Labels, str]], *, opened: bool
    ) -> Iterator[Change]:
        for labels, key in places:
            for reader, wanted in self._naming[rule][labels]:
                yield Change(reader, wanted, key, firing, opened and rule in wanted.none)


def _joins(found: Iterable[tuple[Reader, Correlate]]) -> "Joins | None":
    """Return the joins of the rules `found`; None for no rules."""
    every = list(found)
    if not every:
        return None
    # It takes a twentieth of a second, and is there only with the extra `correlate`.
    from engine.stream.joins import Join, Joins  # noqa: PLC0415

    return Joins(
        [Join(reader.rule.name, _name(one.on), one.all, one.any, one.none) for reader, one in every]
    )


def _series(reader: Reader, key: str) -> str:
    return f"{_MARK}{reader.rule.name} {key}"


def _key_of(series: str) -> str:
    return series.partition(" ")[2]


def _values(key: str) -> tuple[str, ...]:
    return tuple(json.loads(key))


def _name(labels: Labels) -> str:
    return canonical(labels).decode()
