"""How much of one lane is in the log and not folded yet, and how fast folding goes. Pure.

The age of what is folded is a late sign: where ten times too much comes, a log that is three
seconds behind already holds half a minute of work. So the amount is limited, not the age: the
log may hold some seconds of work, and the rest waits where it can still be shed.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from engine.bus.codec import BATCH_LIMIT
from engine.model.instant import MICROS

MEASURE_US: Final = 1_000_000
PAUSE_US: Final = 10_000_000
"""Folding that stood still for longer was not slow, it was not there: the rate stays."""
SLOWEST: Final = 1000.0
"""Signals a second to count with while nothing is known."""
SHARE: Final = 0.5
"""Of the rate: what may still be appended to a log that is too long, which so gets shorter."""
AT_ONCE_S: Final = 0.25
PIECE_S: Final = 0.05
_LEAST: Final = 20
_JOINED_US: Final = 20_000
_SMALLEST: Final = 100
_GOOD_NEWS, _BAD_NEWS = 0.5, 0.3
"""How much a new measure counts: a rate that is taken for too low sheds what would have passed."""


@dataclass
class _Group:
    """So many signals that came into the log between two instants."""

    first: int
    last: int
    count: int


class Flow:
    """The flow of one lane. Times are microseconds of the wall clock, amounts are signals.

    `floor`: how much may be in flight before folding was seen at its limit; `window_s`: for how
    many seconds of folding afterwards. Both must be more than what passes between two signs of
    it, or folding would wait.
    """

    def __init__(self, floor: int, window_s: float) -> None:
        self._floor = floor
        self._window_s = window_s
        self._appended: deque[_Group] = deque()
        self._last = 0
        self.in_flight = 0
        self.rate = 0.0
        self._since = 0
        self._done = 0
        self._busy = False
        self._known = False

    def appended(self, at: int, count: int) -> None:
        """Take note that `count` signals came into the log at `at`, or somewhat before."""
        self._last = max(self._last, at)
        self.in_flight += count
        newest = self._appended[-1] if self._appended else None
        if newest is not None and at - newest.first < _JOINED_US:
            newest.last, newest.count = at, newest.count + count
        else:
            self._appended.append(_Group(at, at, count))

    def folded(self, until: int, now: int) -> None:
        """Take note that all that was appended before `until` is folded."""
        done = 0
        while self._appended and self._appended[0].last < until:
            done += self._appended.popleft().count
        self.in_flight -= done
        self._measure(done, now)

    @property
    def window(self) -> int:
        """How many signals may be in flight."""
        return max(_SMALLEST if self._known else self._floor, int(self.rate * self._window_s))

    def allowance(self, now: int) -> int:
        """Return how many signals may be appended now."""
        room = self.window - self.in_flight
        if room > 0:
            return room
        passed = min(MICROS, max(0, now - self._last)) / MICROS
        return int(passed * SHARE * (self.rate or SLOWEST))

    def seconds(self, count: int) -> float:
        """Return how long folding takes for `count` signals; 0 before it was seen at its limit."""
        return count / self.rate if self._known else 0.0

    @property
    def at_once(self) -> int:
        """How many signals one append may hold: they are folded for us only as a whole."""
        return max(_SMALLEST, int(self.rate * AT_ONCE_S)) if self._known else self._floor

    @property
    def piece(self) -> int:
        """How many signals one record may hold: it is folded in one go, and all else waits."""
        known = max(_LEAST, int(self.rate * PIECE_S)) if self._known else BATCH_LIMIT
        return min(BATCH_LIMIT, known)

    def _measure(self, done: int, now: int) -> None:
        """Measure the rate where there was enough to do; else it is at least what was done."""
        self._done += done
        passed = now - self._since
        if not self._done or passed < MEASURE_US:
            return
        if passed < PAUSE_US:
            rate = self._done * MICROS / passed
            self._learn(rate, busy=self._busy and self.in_flight * 2 >= self.window)
        self._since, self._done = now, 0
        self._busy = self.in_flight * 2 >= self.window

    def _learn(self, rate: float, *, busy: bool) -> None:
        """Learn from what was folded a second; where it was not busy, it could do more."""
        if self._known:
            news = _GOOD_NEWS if rate > self.rate else _BAD_NEWS if busy else 0.0
            self.rate += news * (rate - self.rate)
        else:
            self.rate = rate if busy else max(self.rate, rate)
            self._known = busy
