"""Absence: a known key of which nothing was heard for `within`.

What makes it known are objects (or, where signals are about none, the key's own signals); a key
whose last object was deleted is forgotten. While the source that last spoke of the key is silent
nothing is decided: silence of a watcher says nothing of what it watches. When the source comes
back, the time allowed starts anew.
"""

from bisect import bisect_left
from enum import StrEnum
from typing import Any, ClassVar

import msgspec

from engine.model.instant import rfc3339
from engine.rules.rule import Absent, Rule
from engine.stream.reasons import Reason
from engine.stream.sample import Sample, Shown


class Word(StrEnum):
    """What a sample says of a key: the first of its `raws`; the second one is a source.

    HEARD: a signal of its stream. EXISTS: an object that makes it known. ALIVE: both at once.
    SILENT: the source fell silent (empty: every watcher did). BACK: the source speaks again.
    A sample without either tells that its object belongs to another key now.
    """

    HEARD = "heard"
    EXISTS = "exists"
    ALIVE = "alive"
    SILENT = "silent"
    BACK = "back"


class Life(msgspec.Struct, array_like=True):
    """What is known of a key.

    Attributes:
        objects: series -> since when it is known, oldest first.
        heard: the last signal of its stream; -1 before the first one.
        source: the one that sent it.
        back: when a source came back for which it waited.
        waits: the silent source for which it waits (empty: for any), None for none.
        silent: from when on it waits.
        held: the rule's `clear` was not true of the last signal, while it fired.
    """

    objects: dict[str, int] = {}
    heard: int = -1
    source: str = ""
    back: int = -1
    waits: str | None = None
    silent: int = -1
    held: bool = False


class AbsenceState(msgspec.Struct, array_like=True):
    """An absence as it is stored: what was known at the mark, and the samples since."""

    base: Life
    samples: list[Sample]
    now: int


class Absence:
    """The silence of one key."""

    form: ClassVar[type[Any]] = AbsenceState
    __slots__ = ("_absent", "_base", "_lasting", "_life", "_now", "_samples")

    def __init__(self, rule: Rule, absent: Absent) -> None:
        """Start with a key of which nothing is known."""
        self._absent = absent
        self._lasting = rule.clear is not None
        self._base = Life()
        self._life = Life()
        self._samples: list[Sample] = []
        self._now = -1

    def rebind(self, rule: Rule, mark: int) -> None:
        """Go on under other settings, from the next sample on."""
        del mark
        self._lasting = rule.clear is not None

    def add(self, sample: Sample, *, firing: bool) -> None:
        """Fold the newest sample in; `firing`: whether the key fired just before it."""
        sample.before = self._lasting and firing and not sample.cleared
        self._samples.append(sample)
        self._hear(self._life, sample)

    def expire(self, at: int, *, firing: bool) -> None:
        """Let time be `at`."""
        del firing
        self._now = at

    def rewind(self, at: int) -> list[Sample]:
        """Go back to just before `at`; return the samples from there on, oldest first."""
        start = bisect_left(self._samples, at, key=lambda one: one.at)
        later = self._samples[start:]
        del self._samples[start:]
        self._again()
        self._now = at - 1
        return later

    def trim(self, mark: int) -> set[str]:
        """Drop what no instant from `mark` on can see."""
        count = bisect_left(self._samples, mark, key=lambda one: one.at)
        if not count:
            return set()
        for sample in self._samples[:count]:
            self._hear(self._base, sample)
        dropped = {one.series for one in self._samples[:count]}
        del self._samples[:count]
        return dropped - self.series()

    def next_change(self) -> int | None:
        """Return when the time allowed ends; None while nothing is decided, or it has."""
        due = None if self._life.waits is not None else self._due()
        return due if due is not None and due > self._now else None

    def rest(self, mark: int) -> int | None:
        """Return when samples become final; a known key is remembered until it is deleted."""
        del mark
        return self._samples[-1].at if self._samples else None

    def idle(self, mark: int) -> bool:
        """Whether nothing is remembered that could matter from `mark` on."""
        del mark
        return not (self._samples or self._base.objects)

    def filled(self) -> bool:
        """Whether the time allowed has ended, before the source fell silent if it did."""
        due, life = self._due(), self._life
        decided = self._now if life.waits is None else min(self._now, life.silent - 1)
        return due is not None and due <= decided

    def lasts(self) -> bool:
        """Whether the rule's `clear` was not true of the last signal."""
        return self._life.held

    def why(self, sample: Sample | None, *, true: bool) -> Reason:
        """Return why it became true or false."""
        del sample
        return Reason.ABSENT if true else Reason.CLEARED

    def values(self) -> dict[str, Any]:
        """Return when the key was last heard of, as `last`."""
        return {"last": rfc3339(self._life.heard)} if self._life.heard >= 0 else {}

    def show(self) -> Shown:
        """Describe the silence."""
        return Shown(self.values())

    def dump(self) -> AbsenceState:
        """Return the state; `load` on a new object restores it."""
        return AbsenceState(self._base, self._samples, self._now)

    def load(self, state: AbsenceState) -> None:
        """Take over what `dump` returned."""
        self._base, self._samples, self._now = state.base, state.samples, state.now
        self._again()

    def series(self) -> set[str]:
        """Return every series that must tell of its moves to other keys."""
        return {one.series for one in self._samples} | set(self._base.objects)

    def has(self, series: str, at: int) -> bool:
        """Whether a sample of `series` at `at` is known and not yet final."""
        return any(one.at == at and one.series == series for one in self._samples)

    def _again(self) -> None:
        self._life = msgspec.structs.replace(self._base, objects=dict(self._base.objects))
        for sample in self._samples:
            self._hear(self._life, sample)

    def _due(self) -> int | None:
        """Return when the time allowed ends; None for a key that is not known."""
        life = self._life
        known = next(iter(life.objects.values()), None)
        if known is None:
            return None
        since = max(known, life.heard, life.back)
        return max(since + self._absent.within_us, known + self._absent.after_us)

    def _hear(self, life: Life, sample: Sample) -> None:
        if not sample.raws:
            life.objects.pop(sample.series, None)
            return
        word, source = sample.raws
        if word == Word.SILENT:
            if life.waits is None and source in {"", life.source}:
                life.waits, life.silent = source, sample.at
        elif word == Word.BACK:
            self._come_back(life, source, sample.at)
        else:
            if word != Word.HEARD:
                _note(life.objects, sample)
            if word != Word.EXISTS:
                life.heard, life.source, life.waits = sample.at, source, None
                life.held = bool(sample.before)

    def _come_back(self, life: Life, source: str, at: int) -> None:
        if life.waits not in {"", source}:
            return
        known = next(iter(life.objects.values()), at)
        since = max(known, life.heard, life.back)
        due = max(since + self._absent.within_us, known + self._absent.after_us)
        if due >= life.silent:
            life.back = at
        life.waits = None


def _note(objects: dict[str, int], sample: Sample) -> None:
    if sample.gone:
        objects.pop(sample.series, None)
    else:
        objects.setdefault(sample.series, sample.at)
