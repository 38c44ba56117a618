"""A schedule: the condition of a key, looked at at some instants only.

At such an instant the signals come first, then the look. What is true then fires, for PULSE_US;
what it is between the instants makes no difference. Instants that lie far behind when stream
time passes them all at once were missed; `catch_up` says which of those are made up for.
"""

from bisect import bisect_left
from typing import Any, ClassVar, Final

import msgspec

from engine.rules.rule import Rule
from engine.stream.condition import Condition
from engine.stream.cron import Instants
from engine.stream.layer import Layered
from engine.stream.reasons import Reason
from engine.stream.sample import Sample, Shown
from engine.stream.stream_time import LEAP_US

PULSE_US: Final = 1_000_000
"""How long an episode is."""
LEAP: Final = "\0leap"
"""Series of the samples that say so."""


class ScheduleState(msgspec.Struct, array_like=True):
    """A schedule as it is stored, within the state of the condition that it looks at."""

    base: int
    leaps: list[Sample]
    now: int
    looks: bool


class Schedule:
    """Looks at `condition` at the instants of a schedule."""

    name: ClassVar[str] = "schedule"
    __slots__ = ("_base", "_fed", "_instants", "_leaps", "_looks", "_now", "_skip", "condition")

    def __init__(self, condition: Condition, instants: Instants) -> None:
        """Look at `condition` from its first sample on."""
        self.condition = condition
        self._instants = instants
        self._base = self._skip = -1
        self._leaps: list[Sample] = []
        self._now = -1
        self._looks = self._fed = False

    @property
    def form(self) -> type[Any]:
        """Type of the state."""
        return self.condition.form

    def rebind(self, rule: Rule, mark: int) -> None:
        """Go on under an edited rule of the same hash; a new schedule begins at `mark`."""
        self.condition.rebind(rule, mark)
        if self._now < 0:
            self._now = mark - 1

    def add(self, sample: Sample, *, firing: bool) -> None:
        """Fold the newest sample in; a leap says before which instant all was missed."""
        self._fed = True
        if sample.series == LEAP:
            self._leaps.append(sample)
            self._skip = max(self._skip, *sample.raws)
        else:
            self.condition.add(sample, firing=firing)

    def expire(self, at: int, *, firing: bool) -> None:
        """Let time be `at`: a look, where it is an instant and its signals have come."""
        fed, self._fed, self._now = self._fed, False, at
        self._looks = not fed and self._start() == at
        self.condition.expire(at, firing=firing)

    def rewind(self, at: int) -> list[Sample]:
        """Go back to just before `at`; return the samples from there on, oldest first."""
        start = bisect_left(self._leaps, at, key=lambda one: one.at)
        later = self.condition.rewind(at) + self._leaps[start:]
        del self._leaps[start:]
        self._skip = self._skipped()
        self._looks, self._now = False, at - 1
        return sorted(later, key=lambda one: one.at)

    def trim(self, mark: int) -> set[str]:
        """Drop what no instant from `mark` on can see; return series that were forgotten."""
        count = bisect_left(self._leaps, mark, key=lambda one: one.at)
        if count:
            self._base = max([self._base, *(one.raws[0] for one in self._leaps[:count])])
            del self._leaps[:count]
        return self.condition.trim(mark)

    def next_change(self) -> int | None:
        """Return the next instant, the end of a pulse, or when what is looked at changes."""
        if self._now < 0:
            return None
        start = self._start()
        if start is None:
            change = self._instants.after(max(self._now, self._skip - 1))
        elif start == self._now and not self._looks:
            return start
        else:
            change = start + PULSE_US
        inner = self.condition.next_change()
        return min((one for one in (change, inner) if one is not None), default=None)

    def rest(self, mark: int) -> int | None:
        """Return when there may be nothing left to remember; None: not by time alone."""
        return self.condition.rest(mark)

    def idle(self, mark: int) -> bool:
        """Whether nothing is remembered that could matter from `mark` on."""
        return self.condition.idle(mark)

    def filled(self) -> bool:
        """Whether this is a look, and there is something to look at."""
        return self._looks and self.condition.filled()

    def lasts(self) -> bool:
        """Whether what fired at the last instant still does."""
        return self._start() is not None

    def why(self, sample: Sample | None, *, true: bool) -> Reason:
        """Return why it became true or false."""
        del sample
        return Reason.SCHEDULE if true else Reason.CLEARED

    def values(self) -> dict[str, Any]:
        """Return what `having` sees at a look."""
        return self.condition.values()

    def show(self) -> Shown:
        """Describe what was looked at."""
        return self.condition.show()

    def dump(self) -> Layered:
        """Return the state of the condition, and within it that of the schedule."""
        state: Layered = self.condition.dump()
        own = ScheduleState(self._base, self._leaps, self._now, self._looks)
        state.layers = {**state.layers, self.name: own}
        return state

    def load(self, state: Layered) -> None:
        """Take over what `dump` returned, or the state of a condition without a schedule."""
        self.condition.load(state)
        if self.name in state.layers:
            own = msgspec.convert(state.layers[self.name], ScheduleState)
            self._base, self._leaps, self._now = own.base, own.leaps, own.now
            self._looks = own.looks
            self._skip = self._skipped()

    def series(self) -> set[str]:
        """Return every series that must tell of its moves to other keys."""
        return self.condition.series()

    def has(self, series: str, at: int) -> bool:
        """Whether a sample of `series` at `at` is known and not yet final."""
        return self.condition.has(series, at)

    def _start(self) -> int | None:
        """Return the instant whose pulse goes on, None for none."""
        found = self._instants.after(self._now - PULSE_US)
        return found if found is not None and self._skip <= found <= self._now else None

    def _skipped(self) -> int:
        edges: list[int] = [one.raws[0] for one in self._leaps]
        return max([self._base, *edges])


def missed(instants: Instants, catch_up: str, start: int, end: int) -> int | None:
    """Return before which instant all is missed, as stream time leaps from `start` to `end`.

    None: nothing is missed, or all is made up for.
    """
    edge = end - LEAP_US
    last = None if catch_up == "all" else instants.last(start, edge)
    if last is None:
        return None
    return last if catch_up == "last" else edge
