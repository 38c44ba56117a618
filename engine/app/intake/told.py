"""What people are told of a flood: one line when it begins, one when it is over, and numbers."""

from collections import Counter
from typing import Final

import structlog

from engine import meters
from engine.app.intake.shedding import Pressure, Reason
from engine.model.instant import MICROS

LOG = structlog.get_logger()
OVER_US: Final = 30_000_000
"""So long nothing was shed or held back: it is over."""


class Told:
    """Tells once that signals are shed, or sources are held back, and once that it is over."""

    def __init__(self) -> None:
        self._shed: Counter[str] = Counter()
        self._shed_at: int | None = None
        self._held_at: int | None = None

    @property
    def problem(self) -> str:
        """What is the matter, empty while nothing is."""
        parts = []
        if self._shed_at is not None:
            parts.append(f"more signals come than are folded; shed so far: {self._counts()}")
        if self._held_at is not None:
            parts.append("sources are held back, senders get 503")
        return "; ".join(parts)

    def shed(self, counts: Counter[Reason], pressure: Pressure, delay_s: float, now: int) -> None:
        """Take note of what was shed at `now` (microseconds)."""
        if not counts:
            return
        for reason, count in counts.items():
            meters.SHED.labels(reason.value).inc(count)
            self._shed[reason.value] += count
        if self._shed_at is None:
            LOG.warning("shedding", pressure=pressure.name.lower(), delay_s=round(delay_s, 1))
        self._shed_at = now

    def held(self, bytes_waiting: int, now: int) -> None:
        """Take note that a source was held back, or a sender refused, at `now`."""
        if self._held_at is None:
            LOG.warning("sources are held back", bytes=bytes_waiting)
        self._held_at = now

    def look(self, now: int) -> bool:
        """See at `now` what is over; return whether shedding is since the last look."""
        if self._held_at is not None and now - self._held_at > OVER_US:
            self._held_at = None
            LOG.info("sources are held back no longer")
        if self._shed_at is None or now - self._shed_at <= OVER_US:
            return False
        LOG.info("shedding is over", after_s=OVER_US // MICROS, shed=dict(self._shed))
        self._shed_at = None
        self._shed.clear()
        return True

    def _counts(self) -> str:
        return ", ".join(f"{count} {reason}" for reason, count in sorted(self._shed.items()))
