"""Levels and occurrences of one key.

A level (an object, a series) counts while its latest signal says so, and ends with deletion.
An occurrence counts until none came for `stale_after`. The group is true while anything counts.
"""

from bisect import bisect_left
from heapq import nsmallest
from typing import Any, ClassVar

import msgspec

from engine.rules.rule import Rule
from engine.stream.reasons import Reason
from engine.stream.sample import NAMES_SHOWN, Sample, Shown


class Member(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A level that counts; one that is not `met` waits for `clear`."""

    name: str
    node: str
    value: Any
    met: bool = True


class Burst(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Occurrences: they count until `until`; name, node and value are of the last one."""

    until: int
    name: str
    node: str
    value: Any


class MembersState(msgspec.Struct, array_like=True):
    """Members as they are stored, with the samples that may still be undone."""

    members: dict[str, Member]
    burst: Burst | None
    samples: list[Sample]
    last: Member | None
    now: int
    layers: dict[str, Any] = {}


class Members:
    """The levels and occurrences of one key. Same moves as a window; see engine.stream.window.

    With `lasting` (the rule has `clear`) a member that counts while the key fires goes on
    counting until `clear` is true of it.
    """

    form: ClassVar[type[Any]] = MembersState
    __slots__ = ("_lasting", "_now", "_stale_us", "burst", "last", "members", "samples")

    def __init__(self, stale_us: int, *, lasting: bool) -> None:
        """Start empty; `stale_us` is how long an occurrence counts."""
        self.members: dict[str, Member] = {}
        self.burst: Burst | None = None
        self.samples: list[Sample] = []
        self.last: Member | None = None
        self._stale_us = stale_us
        self._lasting = lasting
        self._now = 0

    def rebind(self, rule: Rule, mark: int) -> None:
        """Go on under other settings, from the next sample on."""
        del mark
        self._stale_us = rule.stale_after_us
        self._lasting = rule.clear is not None

    def add(self, sample: Sample, *, firing: bool) -> None:
        """Fold the newest sample in; `firing`: whether the key fired just before it."""
        self.samples.append(sample)
        self.last = Member(sample.name, sample.node, sample.value, bool(sample.met))
        if not sample.series:
            sample.before = self.burst
            if sample.met:
                until = sample.at + self._stale_us
                self.burst = Burst(until, sample.name, sample.node, sample.value)
            return
        before = sample.before = self.members.get(sample.series)
        lasts = self._lasting and firing and before is not None and not sample.cleared
        if not sample.gone and (sample.met or lasts):
            self.members[sample.series] = self.last
        elif before is not None and (sample.met is not None or sample.gone):
            del self.members[sample.series]

    def expire(self, at: int, *, firing: bool) -> None:
        """Let occurrences end that were last renewed `stale_after` before `at`."""
        del firing
        self._now = at

    def rewind(self, at: int) -> list[Sample]:
        """Go back to just before `at`; return the samples from there on, oldest first."""
        start = bisect_left(self.samples, at, key=lambda one: one.at)
        later = self.samples[start:]
        for sample in reversed(later):
            self._undo(sample)
        del self.samples[start:]
        self._now = at - 1
        return later

    def trim(self, mark: int) -> set[str]:
        """Drop samples that can not be undone any more; return series that left for good."""
        if not self.samples or self.samples[0].at >= mark:
            return set()
        count = bisect_left(self.samples, mark, key=lambda one: one.at)
        dropped = {sample.series for sample in self.samples[:count]}
        del self.samples[:count]
        recent = {sample.series for sample in self.samples}
        return {one for one in dropped if one not in self.members and one not in recent}

    def next_change(self) -> int | None:
        """Return when the occurrences end, None where there are none."""
        return self.burst.until if self.burst and self.burst.until > self._now else None

    def rest(self, mark: int) -> int | None:
        """Return when there may be nothing left to remember; None: not by time alone."""
        del mark
        return self.samples[0].at if self.samples else None

    def idle(self, mark: int) -> bool:
        """Whether nothing is remembered that could matter from `mark` on."""
        ended = self.burst is None or self.burst.until < mark
        return ended and not self.members and not self.samples

    def filled(self) -> bool:
        """Whether a level or an occurrence counts."""
        return bool(self.members) or self.next_change() is not None

    def lasts(self) -> bool:
        """A member itself outlasts its condition, see `add`."""
        return False

    def why(self, sample: Sample | None, *, true: bool) -> Reason:
        """Return why it became true or false: silence ends occurrences, a signal all else."""
        if true:
            return Reason.THRESHOLD
        return Reason.NO_DATA if sample is None and self.burst is not None else Reason.CLEARED

    def values(self) -> dict[str, Any]:
        """Return the last value seen as `value`, nothing where signals have none."""
        return {} if self.last is None or self.last.value is None else {"value": self.last.value}

    def show(self) -> Shown:
        """Describe who counts; the node is that of the last signal."""
        counting: list[Member | Burst] = list(self.members.values())
        if self.burst is not None and self.next_change() is not None:
            counting.append(self.burst)
        names = [one.name for one in counting]
        nodes = frozenset(one.node for one in counting if one.node)
        node = self.last.node if self.last else ""
        first = tuple(nsmallest(NAMES_SHOWN, names))
        return Shown(self.values(), first, len(names), nodes, node)

    def dump(self) -> MembersState:
        """Return the state; `load` on a new object restores it."""
        return MembersState(self.members, self.burst, self.samples, self.last, self._now)

    def load(self, state: MembersState) -> None:
        """Take over what `dump` returned."""
        self.members, self.burst, self.samples = state.members, state.burst, state.samples
        self.last, self._now = state.last, state.now
        for sample in self.samples:
            if sample.before is not None:
                kind = Member if sample.series else Burst
                sample.before = msgspec.convert(sample.before, kind)

    def series(self) -> set[str]:
        """Return every series that is remembered."""
        return {sample.series for sample in self.samples} | set(self.members)

    def waiting(self) -> list[str]:
        """Return the members that count only until `clear` is true of them."""
        if not self._lasting:
            return []
        return sorted(series for series, one in self.members.items() if not one.met)

    def has(self, series: str, at: int) -> bool:
        """Whether a sample of `series` at `at` is known and not yet final."""
        return any(one.at == at and one.series == series for one in self.samples)

    def _undo(self, sample: Sample) -> None:
        if not sample.series:
            self.burst = sample.before
        elif sample.before is None:
            self.members.pop(sample.series, None)
        else:
            self.members[sample.series] = sample.before
