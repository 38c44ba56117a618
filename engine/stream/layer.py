"""Layer: a condition round another one, for what time does to it beside the signals.

A layer sees every sample first. It may give the inner condition samples of its own making, at
instants of time: these are no signals, so `rewind` undoes them, hands out the signals only, and
time makes them again. Its state is stored in that of the condition inside, so that an edit of a
rule that adds or drops a layer loses nothing else.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from typing import Any, ClassVar, Protocol

import msgspec

from engine.rules.rule import Rule
from engine.stream.condition import Condition
from engine.stream.reasons import Reason
from engine.stream.sample import Sample, Shown


class LayerState(msgspec.Struct, array_like=True):
    """A layer as it is stored: the samples that may still be undone, and what else it knows."""

    samples: list[Sample]
    now: int
    made: int
    own: Any


class Layered(Protocol):
    """The state of a condition that may stand inside layers: theirs by name."""

    layers: dict[str, Any]


class Layer(ABC):
    """Passes everything on; kinds of layers differ in what they add. `now` is the time in it."""

    name: ClassVar[str]
    __slots__ = ("inner", "made", "now", "samples")

    def __init__(self, inner: Condition) -> None:
        """Stand round `inner`. `made`: the newest instant of samples of the layer's own."""
        self.inner = inner
        self.samples: list[Sample] = []
        self.now = 0
        self.made = -1

    @property
    def form(self) -> type[Any]:
        """Type of the state."""
        return self.inner.form

    def rebind(self, rule: Rule, mark: int) -> None:
        """Go on under an edited rule of the same hash, from `mark` on."""
        self.now = max(self.now, mark - 1)
        self.inner.rebind(rule, mark)

    def add(self, sample: Sample, *, firing: bool) -> None:
        """Fold the newest sample in; signals come before what time does at their instant."""
        if self.made == sample.at:
            again = self.rewind(sample.at)
            for one in again:
                self._take(one, firing=firing)
        self._take(sample, firing=firing)

    def expire(self, at: int, *, firing: bool) -> None:
        """Let time be `at`."""
        self.inner.expire(at, firing=firing)
        self.now = at

    def rewind(self, at: int) -> list[Sample]:
        """Go back to just before `at`; return the samples from there on, oldest first."""
        start = bisect_left(self.samples, at, key=lambda one: one.at)
        later = self.samples[start:]
        del self.samples[start:]
        self.inner.rewind(at)
        self.now = at - 1
        self.made = -1
        return later

    def trim(self, mark: int) -> set[str]:
        """Drop what is final; return the series of which nothing is remembered any more."""
        dropped = self.inner.trim(mark)
        if self.samples and self.samples[0].at < mark:
            count = bisect_left(self.samples, mark, key=lambda one: one.at)
            dropped |= {one.series for one in self.samples[:count] if one.gone or not one.heard}
            del self.samples[:count]
        if not dropped:
            return dropped
        recent = {one.series for one in self.samples}
        return {one for one in dropped if one not in recent and not self._keeps(one)}

    def next_change(self) -> int | None:
        """Return when time changes the inner condition next, or this layer."""
        inner, own = self.inner.next_change(), self._next()
        if inner is None or own is None:
            return own if inner is None else inner
        return min(inner, own)

    def rest(self, mark: int) -> int | None:
        """Return when there may be nothing left to remember; None: not by time alone."""
        inner = self.inner.rest(mark)
        if not self.samples:
            return inner
        return self.samples[0].at if inner is None else min(inner, self.samples[0].at)

    def idle(self, mark: int) -> bool:
        """Whether nothing is remembered that could matter from `mark` on."""
        return not self.samples and self.inner.idle(mark)

    def filled(self) -> bool:
        """Whether there is something to be true of."""
        return self.inner.filled()

    def lasts(self) -> bool:
        """Whether a key that fires goes on although the condition is not true any more."""
        return self.inner.lasts()

    def why(self, sample: Sample | None, *, true: bool) -> Reason:
        """Return why it became true, or false."""
        return self.inner.why(sample, true=true)

    def values(self) -> dict[str, Any]:
        """Return what `having` sees as `m`, and what is shown."""
        return self.inner.values()

    def show(self) -> Shown:
        """Describe who or what it is true of."""
        return self.inner.show()

    def dump(self) -> Layered:
        """Return the state of the inner condition, and within it that of the layer."""
        state: Layered = self.inner.dump()
        own = LayerState(self.samples, self.now, self.made, self._dump())
        state.layers = {**state.layers, self.name: own}
        return state

    def load(self, state: Layered) -> None:
        """Take over what `dump` returned, or the state of a condition without this layer."""
        self.inner.load(state)
        if self.name in state.layers:
            own = msgspec.convert(state.layers[self.name], LayerState)
            self.samples, self.now, self.made = own.samples, own.now, own.made
            self._load(own.own)

    def series(self) -> set[str]:
        """Return every series that must tell of its moves to other keys."""
        return self.inner.series() | {one.series for one in self.samples if one.series}

    def has(self, series: str, at: int) -> bool:
        """Whether a sample of `series` at `at` is known and not yet final."""
        return any(one.at == at and one.series == series for one in self.samples)

    def _take(self, sample: Sample, *, firing: bool) -> None:
        self.samples.append(sample)
        self.inner.add(sample, firing=firing)

    @abstractmethod
    def _next(self) -> int | None:
        """Return the next instant at which the layer itself has something to do."""

    @abstractmethod
    def _keeps(self, series: str) -> bool:
        """Whether the layer remembers `series`."""

    @abstractmethod
    def _dump(self) -> Any:
        """Return what the layer knows beside its samples."""

    @abstractmethod
    def _load(self, own: Any) -> None:
        """Take over what `_dump` returned."""
