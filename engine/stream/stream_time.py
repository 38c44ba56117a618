"""Stream time of one cluster, from the log alone.

The rule: a source's time is its newest event time. A source lives while that is at most 30 s
behind the newest time of the cluster. Stream time is

- the smallest time of the live sources that ever sent a heartbeat, or
- where none such lives, the newest time of the cluster,

less the allowed lateness; and it never goes back. So a silent watcher holds time for 30 s of
the others' time and no longer, a source without heartbeats moves time only where no watcher
lives, and the result depends on the order of the log but not on how it was cut into records.
"""

from typing import Final

import msgspec

SILENT_US: Final = 30_000_000
FORGOTTEN_US: Final = 100 * SILENT_US
"""A source silent for longer is as one never seen; so state stays small."""


class SourceTime(msgspec.Struct, array_like=True):
    """Newest event time of a source, and whether it ever sent a heartbeat."""

    at: int
    beats: bool


class StreamTimeState(msgspec.Struct, array_like=True):
    """Stream time as it is stored."""

    sources: dict[str, SourceTime]
    newest: int
    mark: int | None


class StreamTime:
    """The clock of one cluster.

    `mark` is None before the first signal. Signals before it are late; timers before it ran.
    """

    __slots__ = ("_lateness_us", "_watchers", "mark", "newest", "sources")

    def __init__(self, lateness_us: int, state: StreamTimeState | None = None) -> None:
        """Start anew, or where `state` ended."""
        self._lateness_us = lateness_us
        self.sources: dict[str, SourceTime] = state.sources if state else {}
        self.newest = state.newest if state else 0
        self.mark: int | None = state.mark if state else None
        self._watchers = [source for source in self.sources.values() if source.beats]

    def see(self, source: str, at: int, *, beat: bool) -> bool:
        """Take note of one signal of `source` at `at`; return whether stream time moved."""
        known = self.sources.get(source)
        if known is None or known.at < self.newest - FORGOTTEN_US:
            self.newest = at if self.mark is None else max(at, self.newest)
            known = self._join(source, at)
        elif at <= known.at and (known.beats or not beat):
            return False
        if beat and not known.beats:
            known.beats = True
            self._watchers.append(known)
        known.at = max(known.at, at)
        self.newest = max(self.newest, at)
        return self.reach(self._present() - self._lateness_us)

    def reach(self, mark: int) -> bool:
        """Move the mark up to `mark`; return whether it moved."""
        if self.mark is not None and mark <= self.mark:
            return False
        self.mark = mark
        return True

    def dump(self) -> StreamTimeState:
        """Return the state."""
        edge = self.newest - FORGOTTEN_US
        sources = {name: known for name, known in self.sources.items() if known.at >= edge}
        return StreamTimeState(sources, self.newest, self.mark)

    def _join(self, source: str, at: int) -> SourceTime:
        known = self.sources[source] = SourceTime(at, beats=False)
        edge = self.newest - FORGOTTEN_US
        self._watchers = [one for one in self._watchers if one.at >= edge]
        return known

    def _present(self) -> int:
        edge = self.newest - SILENT_US
        live = [source.at for source in self._watchers if source.at >= edge]
        return min(live, default=self.newest)
