"""Instants of a schedule: cron fields in a time zone, as microseconds since 1970.

Cron is about local time. A local time that does not exist (a clock put forward) runs at the next
minute that does; one that occurs twice (a clock put back) runs at the first.
"""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim

from engine.model.ids import digest
from engine.model.instant import from_us, to_us
from engine.rules.rule import Schedule

_MINUTE: Final = timedelta(minutes=1)
_MINUTE_US: Final = 60_000_000
_KEPT: Final = 4


class Instants:
    """The instants at which a rule is looked at, each put off by its own part of `jitter`."""

    __slots__ = ("_cron", "_gaps", "_jitter_us", "_rule", "_zone")

    def __init__(self, rule: str, schedule: Schedule) -> None:
        """Take the schedule of the rule named `rule`, as the loader checked it."""
        self._rule = rule
        self._cron = schedule.cron
        self._zone = ZoneInfo(schedule.timezone)
        self._jitter_us = schedule.jitter_us
        self._gaps: deque[tuple[int, int]] = deque(maxlen=_KEPT)

    def after(self, at: int) -> int | None:
        """Return the first instant after `at`, None where there is none any more.

        All keys ask for about the same time again and again: the last answers are remembered.
        """
        for start, end in self._gaps:
            if start <= at < end:
                return end
        moved = (plain + self._put_off(plain) for plain in self._plain(at - self._jitter_us))
        found = next((one for one in moved if one > at), None)
        if found is not None:
            self._gaps.appendleft((at, found))
        return found

    def last(self, start: int, end: int) -> int | None:
        """Return the last instant in `[start, end)`, None for none."""
        reach, found = _MINUTE_US, None
        while found is None:
            since = max(start, end - reach)
            at = self.after(since - 1)
            while at is not None and at < end:
                found, at = at, self.after(at)
            if since == start:
                break
            reach *= 2
        return found

    def _put_off(self, plain: int) -> int:
        if not self._jitter_us:
            return 0
        return int(digest([self._rule, plain])[:15], 16) % self._jitter_us

    def _plain(self, at: int) -> Iterator[int]:
        """Yield the instants after `at` that the cron fields name, without jitter."""
        local = from_us(at).astimezone(self._zone).replace(tzinfo=None)
        for one in CronSim(self._cron, local):
            found = to_us(self._instant(one))
            if found > at:
                yield found
                at = found

    def _instant(self, local: datetime) -> datetime:
        """Return the instant of a local time, or of the next minute that exists."""
        while True:
            instant = local.replace(tzinfo=self._zone).astimezone(UTC)
            if instant.astimezone(self._zone).replace(tzinfo=None) == local:
                return instant
            local += _MINUTE
