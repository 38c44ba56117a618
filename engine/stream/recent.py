"""What a cluster's signals were in the last moments: ids against duplicates, levels for order.

Ids are remembered for twice the lateness, those of Events for two hours. For levels the times
of each object's signals are kept while they are not final, so that a signal that arrives out
of order knows what came after it. Both are kept in chunks of event time, which are stored apart,
so that a checkpoint writes only what is new.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

EVENT_MEMORY_US: Final = 7_200_000_000
_WIDTH_US: Final = {"ids": 1_000_000, "events": 300_000_000}

Chunk = tuple[str, int]


class ChunkState(msgspec.Struct, array_like=True):
    """One chunk as it is stored: ids and their times, and (series, time) of level signals."""

    ids: dict[str, int]
    levels: list[tuple[str, int]]


class Recent:
    """Ids and levels of one cluster. `touched` names chunks to store, gone ones included."""

    __slots__ = ("_chunks", "_ids", "_keep_us", "_levels", "_swept", "touched")

    def __init__(self, lateness_us: int) -> None:
        self._keep_us = {"ids": 2 * lateness_us, "events": max(2 * lateness_us, EVENT_MEMORY_US)}
        self._chunks: dict[Chunk, ChunkState] = {}
        self._ids: dict[str, int] = {}
        self._levels: dict[str, list[int]] = {}
        self._swept = 0
        self.touched: set[Chunk] = set()

    def knows(self, identity: str) -> bool:
        """Whether a signal of this id was seen."""
        return identity in self._ids

    def remember(self, identity: str, at: int, *, event: bool, series: str = "") -> None:
        """Remember a signal; `series` for a level."""
        kind = "events" if event else "ids"
        place = (kind, at // _WIDTH_US[kind])
        chunk = self._chunks.get(place)
        if chunk is None:
            chunk = self._chunks[place] = ChunkState({}, [])
        self.touched.add(place)
        self._ids[identity] = chunk.ids[identity] = at
        if series:
            chunk.levels.append((series, at))
            times = self._levels.get(series)
            if times is None:
                self._levels[series] = [at]
            else:
                times.append(at)

    def after(self, series: str, at: int) -> list[int]:
        """Return the times after `at` of signals of `series` that came already, oldest first."""
        times = self._levels.get(series)
        return sorted({one for one in times if one > at}) if times else []

    def forget(self, mark: int) -> None:
        """Let go of what stream time `mark` has outlived; cheap when called often."""
        if mark // _WIDTH_US["ids"] == self._swept:
            return
        self._swept = mark // _WIDTH_US["ids"]
        for kind, index in [
            one for one in self._chunks if _end(one) + self._keep_us[one[0]] < mark
        ]:
            chunk = self._chunks.pop((kind, index))
            self.touched.add((kind, index))
            for identity in chunk.ids:
                del self._ids[identity]
            for series, at in chunk.levels:
                self._drop_level(series, at)

    def dump(self) -> Iterator[tuple[Chunk, ChunkState | None]]:
        """Yield each touched chunk, None for one that is gone; and begin anew."""
        for place in sorted(self.touched):
            yield place, self._chunks.get(place)
        self.touched.clear()

    def load(self, chunks: Mapping[Chunk, ChunkState]) -> None:
        """Take over what `dump` gave."""
        for place, chunk in sorted(chunks.items(), key=lambda one: one[0]):
            self._chunks[place] = chunk
            self._ids.update(chunk.ids)
            self._note(chunk.levels)

    def _note(self, levels: Iterable[tuple[str, int]]) -> None:
        for series, at in levels:
            self._levels.setdefault(series, []).append(at)

    def _drop_level(self, series: str, at: int) -> None:
        times = self._levels[series]
        times.remove(at)
        if not times:
            del self._levels[series]


def _end(place: Chunk) -> int:
    return (place[1] + 1) * _WIDTH_US[place[0]]
