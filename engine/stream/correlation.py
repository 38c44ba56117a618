"""Correlation: the condition of a key whose rule correlates open firings of others.

What it knows is a part for each group of firings: one, unless the key stands for all beyond
`max_keys`. A part is there while a firing of `all` or `any` is open.
"""

from bisect import bisect_left
from collections import Counter
from itertools import chain, islice
from typing import Any, ClassVar

import msgspec

from engine.model.ids import digest
from engine.rules.rule import Rule
from engine.stream.reasons import Reason
from engine.stream.sample import NAMES_SHOWN, Sample, Shown


class Part(msgspec.Struct, array_like=True, frozen=True):
    """What a group of firings says.

    Attributes:
        met: whether they are such as the rule asks for.
        members: digest of the ids of those that were open as it became met.
        after: id of the last firing of `none` that ended an episode; empty: there was none.
        rules: how many firings each rule has open.
        shown: ids of the first few of them.
        nodes: the nodes of all of them.
        depth: how many missions and changes of dogwatch lie on the way to it.
    """

    met: bool = False
    members: str = ""
    after: str = ""
    rules: dict[str, int] = {}
    shown: tuple[str, ...] = ()
    nodes: frozenset[str] = frozenset()
    depth: int = 0


class CorrelationState(msgspec.Struct, array_like=True):
    """A correlation as it is stored: its parts, and the samples that may still be undone."""

    parts: dict[str, Part]
    samples: list[Sample]


class Correlation:
    """The parts of one key. The first of the `raws` of a sample is what a part became."""

    form: ClassVar[type[Any]] = CorrelationState
    __slots__ = ("_samples", "parts")

    def __init__(self) -> None:
        """Start with no firing open."""
        self.parts: dict[str, Part] = {}
        self._samples: list[Sample] = []

    def rebind(self, rule: Rule, mark: int) -> None:
        """Go on as before: all that it is made of belongs to the hash of its rule."""

    def add(self, sample: Sample, *, firing: bool) -> None:
        """Fold the newest sample in."""
        del firing
        sample.before = self.parts.get(sample.series)
        self._samples.append(sample)
        self._become(sample.series, sample.raws[0])

    def expire(self, at: int, *, firing: bool) -> None:
        """Time alone changes nothing."""

    def rewind(self, at: int) -> list[Sample]:
        """Go back to just before `at`; return the samples from there on, oldest first."""
        start = bisect_left(self._samples, at, key=lambda one: one.at)
        later = self._samples[start:]
        for sample in reversed(later):
            self._become(sample.series, sample.before)
        del self._samples[start:]
        return later

    def trim(self, mark: int) -> set[str]:
        """Drop what no instant from `mark` on can see; return groups that were forgotten."""
        count = bisect_left(self._samples, mark, key=lambda one: one.at)
        dropped = {sample.series for sample in self._samples[:count]}
        del self._samples[:count]
        return dropped - self.series()

    def next_change(self) -> int | None:
        """Time alone changes nothing."""
        return None

    def rest(self, mark: int) -> int | None:
        """Return when there may be nothing left to remember."""
        del mark
        return self._samples[0].at if self._samples else None

    def idle(self, mark: int) -> bool:
        """Whether nothing is remembered that could matter from `mark` on."""
        del mark
        return not self.parts and not self._samples

    def filled(self) -> bool:
        """Whether the firings of a group are such as the rule asks for."""
        return any(part.met for part in self.parts.values())

    def lasts(self) -> bool:
        """It ends with the firings."""
        return False

    def why(self, sample: Sample | None, *, true: bool) -> Reason:
        """Return why it became true or false."""
        del sample
        return Reason.CORRELATED if true else Reason.CLEARED

    def values(self) -> dict[str, Any]:
        """Return how many firings each rule has open where they have come together."""
        found: Counter[str] = Counter()
        for part in self._met():
            found.update(part.rules)
        return dict(found)

    def counts(self) -> dict[str, int]:
        """Return how many firings each rule has open, whether they have come together or not."""
        found: Counter[str] = Counter()
        for part in self.parts.values():
            found.update(part.rules)
        return dict(found)

    def show(self) -> Shown:
        """Describe the firings: their ids are the members."""
        parts, values = self._met(), self.values()
        nodes = frozenset(chain.from_iterable(part.nodes for part in parts))
        shown = islice(chain.from_iterable(part.shown for part in parts), NAMES_SHOWN)
        node = next(iter(nodes)) if len(nodes) == 1 else ""
        return Shown(values, tuple(shown), sum(values.values()), nodes, node)

    def identity(self) -> str:
        """Return what an episode that begins now is told apart by: the firings that make it."""
        return digest([[part.members, part.after] for part in self._met()])

    def dump(self) -> CorrelationState:
        """Return the state; `load` on a new object restores it."""
        return CorrelationState(self.parts, self._samples)

    def load(self, state: CorrelationState) -> None:
        """Take over what `dump` returned."""
        self.parts, self._samples = state.parts, state.samples
        for sample in self._samples:
            sample.raws = (_part(sample.raws[0]),)
            sample.before = _part(sample.before)

    def series(self) -> set[str]:
        """Return every group that is remembered."""
        return {sample.series for sample in self._samples} | set(self.parts)

    def has(self, series: str, at: int) -> bool:
        """Whether a sample of `series` at `at` is known and not yet final."""
        return any(one.at == at and one.series == series for one in self._samples)

    def _met(self) -> list[Part]:
        return [part for _, part in sorted(self.parts.items()) if part.met]

    def _become(self, series: str, part: Part | None) -> None:
        if part is None:
            self.parts.pop(series, None)
        else:
            self.parts[series] = part


def _part(raw: Any) -> Part | None:
    return None if raw is None else msgspec.convert(raw, Part)
