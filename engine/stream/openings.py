"""Openings: the open firings of all rules, as rules that correlate them see them.

They are kept in groups: of the firings that have the same values of the same labels.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge

import msgspec

from engine.model.ids import canonical
from engine.model.instant import to_us
from engine.model.signal import Signal
from engine.rules.correlations import short_name
from engine.rules.rule import Correlate

Labels = tuple[str, ...]
Opened = tuple[int, str]
"""When a firing opened, in microseconds since 1970, and its id."""


class Opening(msgspec.Struct, array_like=True, frozen=True):
    """An open firing, as it is stored.

    Attributes:
        rule: its rule, and `hash` the identity of that when it opened.
        at: stream time in microseconds at which it opened.
        labels: all labels in which it may agree with others.
        depth: how many missions and changes of dogwatch lie on the way to what follows from it.
    """

    rule: str
    hash: str
    at: int
    labels: dict[str, str]
    depth: int

    def key(self, labels: Labels) -> str | None:
        """Return the values of `labels` as one text; None where it lacks one."""
        values = [self.labels.get(name) for name in labels]
        return None if None in values else canonical(values).decode()


def labels_of(data: Mapping[str, object], rule: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of a firing from the data of its condition, and those of its `rule`.

    Parts of its key count most, then what the condition is about, then labels of the rule.
    """
    key = data.get("key")
    parts = {str(name): str(part) for name, part in key.items()} if isinstance(key, dict) else {}
    about = ("cluster", "namespace", "kind", "name", "workload", "node")
    named = {name: one for name in about if isinstance(one := data.get(name), str) and one}
    return {**rule, **named, **{short_name(name): part for name, part in parts.items()}, **parts}


def opening_of(signal: Signal, rule: str, identity: str, labels: Mapping[str, str]) -> Opening:
    """Return the firing that the condition `signal` opens; `identity` is the hash of its rule."""
    depth = signal.data.get("depth")
    named = labels_of(signal.data, labels)
    return Opening(rule, identity, to_us(signal.time), named, depth if type(depth) is int else 0)


@dataclass
class Group:
    """The open firings of one key: by rule, those that opened first come first."""

    opened: dict[str, list[Opened]] = field(default_factory=dict)
    nodes: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, firing: str, one: Opening) -> bool:
        """Take a firing in; return whether it is the only one of its rule."""
        found = self.opened.setdefault(one.rule, [])
        insort(found, (one.at, firing))
        self.nodes.setdefault(one.rule, Counter())[one.labels.get("node", "")] += 1
        return len(found) == 1

    def remove(self, firing: str, one: Opening) -> bool:
        """Take a firing out; return whether it was the only one of its rule."""
        found, nodes = self.opened[one.rule], self.nodes[one.rule]
        del found[bisect_left(found, (one.at, firing))]
        node = one.labels.get("node", "")
        nodes[node] -= 1
        if not nodes[node]:
            del nodes[node]
        if found:
            return False
        del self.opened[one.rule], self.nodes[one.rule]
        return True

    def of(self, rules: Iterable[str]) -> Iterator[Opened]:
        """Yield the firings of `rules`, those that opened first first."""
        return merge(*(self.opened.get(rule, ()) for rule in rules))

    def count(self, rules: Iterable[str]) -> dict[str, int]:
        """Return how many firings each of `rules` has open, without those that have none."""
        return {rule: len(self.opened[rule]) for rule in rules if rule in self.opened}

    def nodes_of(self, rules: Iterable[str]) -> frozenset[str]:
        """Return the nodes of the firings of `rules`."""
        found = {node for rule in rules for node in self.nodes.get(rule, ())}
        return frozenset(found - {""})

    def in_time(self, wanted: Correlate) -> bool:
        """Whether one firing of each rule of `all`, and one of `any`, opened as it is `wanted`.

        That is in order, and within a time, as far as the rule asks for it.
        """
        if not wanted.within_us and not wanted.ordered:
            return True
        lists = [self.opened.get(rule, []) for rule in wanted.all]
        if wanted.any:
            lists.append(list(self.of(wanted.any)))
        within = wanted.within_us or None
        return (_in_order if wanted.ordered else _together)(lists, within)


def _in_order(lists: Sequence[Sequence[Opened]], within: int | None) -> bool:
    """Whether one of each list opened after the other, all within a time."""
    for first, _ in lists[0]:
        at = first
        for later in lists[1:]:
            place = bisect_left(later, (at, ""))
            if place == len(later):
                return False  # nor has a later first one any after it
            at = later[place][0]
        if within is None or at - first <= within:
            return True
    return False


def _together(lists: Sequence[Sequence[Opened]], within: int | None) -> bool:
    """Whether one of each list opened within a time: the heads move on from the earliest."""
    heads = [0] * len(lists)
    while all(head < len(one) for head, one in zip(heads, lists, strict=True)):
        times = [one[head][0] for head, one in zip(heads, lists, strict=True)]
        if within is None or max(times) - min(times) <= within:
            return True
        heads[times.index(min(times))] += 1
    return False
