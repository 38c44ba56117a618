"""Nodata: what a key does once no signal of it came for `stale_after`: resolve, or fire.

Every signal of the rule's stream with this key is heard, whatever the rule thinks of it. An
object that is deleted, or moves to another key, is no silence: a key without an object left is
forgotten. Silence begins at the last signal + `stale_after` and ends with the next signal; what
was true before counts again then, but for members that only waited for `clear`.
"""

from bisect import bisect_left
from typing import Any, ClassVar, NamedTuple

import msgspec

from engine.rules.rule import Rule
from engine.stream.condition import Condition
from engine.stream.layer import Layer
from engine.stream.members import Members
from engine.stream.reasons import Reason
from engine.stream.sample import Sample


class Heard(NamedTuple):
    """What was known of a key at one instant.

    `last`: its last signal, None where it is not to be missed; `steady`: something of it can not
    be deleted; `lives`: whether the object of the next sample was there.
    """

    last: int | None = None
    steady: bool = False
    lives: bool = False


class NodataState(msgspec.Struct, array_like=True):
    """What the layer knows: as it is, the objects that are there, and what each sample changed."""

    heard: Heard
    objects: list[str]
    before: list[Heard]
    quiet: bool


class Nodata(Layer):
    """Watches over the silence of a key. `quiet`: it is silent now; `fires`: that is true then."""

    name: ClassVar[str] = "nodata"
    __slots__ = ("_before", "_heard", "_objects", "_stale_us", "fires", "quiet")

    def __init__(self, inner: Condition, rule: Rule) -> None:
        """Stand round `inner`, of a rule whose `on_nodata` is resolve or fire."""
        super().__init__(inner)
        self.quiet = False
        self.fires = rule.on_nodata == "fire"
        self._stale_us = rule.stale_after_us
        self._heard = Heard()
        self._objects: set[str] = set()
        self._before: list[Heard] = []

    def expire(self, at: int, *, firing: bool) -> None:
        """Let time be `at`; silence ends what only waited for `clear`."""
        due = self._due()
        if not self.quiet and due is not None and due <= at:
            self.quiet = True
            for series in _waiting(self.inner):
                self.inner.add(Sample(at, series, met=False), firing=firing)
                self.made = at
        super().expire(at, firing=firing)

    def rewind(self, at: int) -> list[Sample]:
        """Go back to just before `at`; return the samples from there on, oldest first."""
        start = bisect_left(self.samples, at, key=lambda one: one.at)
        for sample, before in zip(
            reversed(self.samples[start:]), reversed(self._before[start:]), strict=True
        ):
            self._heard = before
            (self._objects.add if before.lives else self._objects.discard)(sample.series)
        del self._before[start:]
        due = self._due()
        self.quiet = due is not None and due < at
        return super().rewind(at)

    def trim(self, mark: int) -> set[str]:
        """Drop what is final; return the series of which nothing is remembered any more."""
        dropped = super().trim(mark)
        del self._before[: len(self._before) - len(self.samples)]
        return dropped

    def idle(self, mark: int) -> bool:
        """Whether nothing is remembered that could matter from `mark` on."""
        missed = self.fires and self._heard.last is not None
        return not missed and super().idle(mark)

    def why(self, sample: Sample | None, *, true: bool) -> Reason:
        """Return why it became true, or false."""
        if self.quiet and sample is None:
            return Reason.NO_DATA
        return super().why(sample, true=true)

    def series(self) -> set[str]:
        """Return every series that must tell of its moves to other keys."""
        return super().series() | self._objects

    def _take(self, sample: Sample, *, firing: bool) -> None:
        self.samples.append(sample)
        self._before.append(self._heard._replace(lives=sample.series in self._objects))
        self._hear(sample)
        if sample.counted or sample.gone or not sample.heard:
            self.inner.add(sample, firing=firing)

    def _hear(self, sample: Sample) -> None:
        last, steady, _ = self._heard
        if sample.gone or not sample.heard:
            self._objects.discard(sample.series)
        elif sample.mortal:
            self._objects.add(sample.series)
        else:
            steady = True
        if sample.heard:
            last = sample.at
            self.quiet = False
        known = steady or bool(self._objects)
        self._heard = Heard(last if known else None, steady)
        self.quiet = self.quiet and known

    def _due(self) -> int | None:
        last = self._heard.last
        return None if last is None else last + self._stale_us

    def _next(self) -> int | None:
        due = self._due()
        return None if due is None or self.quiet else max(due, self.now + 1)

    def _keeps(self, series: str) -> bool:
        return series in self._objects

    def _dump(self) -> NodataState:
        return NodataState(self._heard, sorted(self._objects), self._before, self.quiet)

    def _load(self, own: Any) -> None:
        state = msgspec.convert(own, NodataState)
        self._heard, self._before = state.heard, state.before
        self._objects = set(state.objects)
        due = self._due()
        self.quiet = state.quiet and due is not None and due <= self.now


def _waiting(condition: Condition) -> list[str]:
    while isinstance(condition, Layer):
        condition = condition.inner
    return condition.waiting() if isinstance(condition, Members) else []
