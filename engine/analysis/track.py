"""Track: one series in buckets of equal length, bounded, as small as it goes. Pure."""

import struct
from array import array
from math import nan
from typing import Final

_HEAD: Final = struct.Struct("<qI")
_LAST: Final = 1 << 40


class Track:
    """The newest `most` buckets of `step_s` seconds each, and the one that is still filling.

    A bucket holds the mean of its samples, or the highest one where `peak`; one without samples
    is a gap (NaN), never a zero. Values are kept in single precision.
    """

    __slots__ = ("_count", "_place", "_sum", "most", "peak", "step_s", "values")

    def __init__(self, step_s: int, most: int, *, peak: bool = False) -> None:
        self.step_s = step_s
        self.most = most
        self.peak = peak
        self.values = array("f")
        self._place = 0
        self._sum = 0.0
        self._count = 0

    def add(self, at_s: float, value: float) -> None:
        """Take in a sample at `at_s` (seconds since 1970); one of a bucket that is over is lost."""
        place = int(at_s // self.step_s)
        if place > self._place:
            self.close(at_s)
        elif place < self._place:
            return
        if not self._count:
            self._sum = value
        elif self.peak:
            self._sum = max(self._sum, value)
        else:
            self._sum += value
        self._count += 1

    def close(self, at_s: float) -> None:
        """End the bucket that is over at `at_s`; gaps up to then are kept as such."""
        place = int(at_s // self.step_s)
        if place <= self._place:
            return
        values = self.values
        if self._count:
            values.append(self._sum if self.peak else self._sum / self._count)
        elif values:
            values.append(nan)
        if values:
            values.extend([nan] * min(place - self._place - 1, self.most))
            del values[: max(len(values) - self.most, 0)]
        self._place, self._sum, self._count = place, 0.0, 0

    @property
    def end_s(self) -> float:
        """Up to when the buckets that are over reach."""
        return float(self._place * self.step_s)

    def last(self, count: int) -> list[float]:
        """Return the newest `count` buckets that are over, oldest first, NaN for a gap."""
        return list(self.values[-count:]) if count else []

    def pack(self) -> bytes:
        """Return the buckets that are over, for `resume`."""
        return _HEAD.pack(self._place, self.step_s) + self.values.tobytes()

    def resume(self, packed: bytes) -> bool:
        """Take in what `pack` gave before the first bucket is over; false if that cannot be."""
        body = packed[_HEAD.size :]
        if self.values or len(packed) < _HEAD.size or len(body) % self.values.itemsize:
            return False
        place, step_s = _HEAD.unpack_from(packed)
        values = array("f", body)
        if step_s != self.step_s or len(values) > self.most or not 0 <= place <= _LAST:
            return False
        if not self._count:
            self._place = place
        if self._place < place:
            return False
        values.extend([nan] * min(self._place - place, self.most))
        self.values = values[-self.most :]
        return True
