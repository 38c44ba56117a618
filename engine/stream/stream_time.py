"""Stream time of one cluster, from the log alone.

The rule: a source's time is its newest event time. A source lives while that is at most 30 s
behind the newest time of the cluster; one that ever sent a heartbeat, while its newest heartbeat
is, so that one which still sends a part of what it should see holds time no longer. Stream time is

- the smallest time of the live sources that ever sent a heartbeat, or
- where none such lives, the newest time of the cluster,

less the allowed lateness; and it never goes back. So a silent watcher holds time for 30 s of
the others' time and no longer, a source without heartbeats moves time only where no watcher
lives, and the result depends on the order of the log but not on how it was cut into records.
"""

from typing import Final, NamedTuple

import msgspec

SILENT_US: Final = 30_000_000
FORGOTTEN_US: Final = 100 * SILENT_US
"""A source silent for longer is as one never seen; so state stays small. Not so a watcher that was
told as silent: somebody must hear that it is back, or that it ended."""
_STEP_US: Final = SILENT_US // 2
_TOLD_US: Final = SILENT_US // 3
"""How often it is told again that a silent watcher is silent, while it sends something."""
_SPARE: Final = 64
LEAP_US: Final = 60_000_000
"""A move of the mark by more is a leap, where watchers pace it: nobody was there."""


class Silence(NamedTuple):
    """News of a watcher: it was last heard at `since`; `back` is its return, None: not yet.

    An empty `source` stands for all watchers: none of them lives.
    """

    source: str
    since: int | None
    back: int | None


class SourceTime(msgspec.Struct, array_like=True):
    """Newest event time of a source, and whether it ever sent a heartbeat.

    `missed`: it was silent when somebody with a clock last looked; None: nobody did. `beaten`: time
    of its newest heartbeat, -1 before the first.
    """

    at: int
    beats: bool
    missed: bool | None = None
    beaten: int = -1


class StreamTimeState(msgspec.Struct, array_like=True):
    """Stream time as it is stored; `away` and `left` are those of StreamTime."""

    sources: dict[str, SourceTime]
    newest: int
    mark: int | None
    away: bool = False
    left: bool = False


class StreamTime:
    """The clock of one cluster.

    `mark` is None before the first signal. Signals before it are late; timers before it ran.
    `news` are the silences that began or ended, and `leap` where a leap to `mark` started (-1:
    none), since they were last taken from it. `away`: the cluster did not join yet, or left;
    `left`: it did, and nothing that others say of it counts.
    """

    __slots__ = (
        "_lateness_us",
        "_least",
        "_most",
        "_silent",
        "_watchers",
        "away",
        "leap",
        "left",
        "mark",
        "newest",
        "news",
        "sources",
    )

    def __init__(self, lateness_us: int, state: StreamTimeState | None = None) -> None:
        """Start anew, or where `state` ended."""
        self._lateness_us = lateness_us
        self._most = _SPARE
        self.sources: dict[str, SourceTime] = state.sources if state else {}
        self.newest = state.newest if state else 0
        self.mark: int | None = state.mark if state else None
        self.away = state.away if state else False
        self.left = state.left if state else False
        self.news: list[Silence] = []
        self.leap = -1
        self._watchers = {name: one for name, one in self.sources.items() if one.beats}
        for one in self._watchers.values():
            one.beaten = one.at if one.beaten < 0 else one.beaten  # state of before it was kept
        edge = self.newest - SILENT_US
        self._silent = {name for name, one in self._watchers.items() if one.beaten < edge}
        self._least = self._least_beaten()

    def follow(self, source: str, at: int) -> bool:
        """Take note of a signal that is nothing new, as most are; else return False: `see` it.

        That is one of a watcher, while none is silent and none becomes so. This is what `see` would
        do then, in one piece, as it is done for every signal.
        """
        known, newest, mark = self.sources.get(source), self.newest, self.mark
        if known is None or mark is None or self._silent or not known.beats:
            return False
        if at <= known.at:
            return True
        if at > newest:
            if at > newest + _STEP_US or at > self._least + SILENT_US:
                return False
            self.newest = at
        known.at = lowest = at
        if len(self._watchers) > 1:
            lowest = min([one.at for one in self._watchers.values()])
        lowest -= self._lateness_us
        if lowest > mark:
            self.mark = lowest
        return True

    def see(self, source: str, at: int, *, beat: bool) -> bool:
        """Take note of one signal of `source` at `at`; return whether stream time moved."""
        paced, start = self._paced(at), self.mark
        known = self.sources.get(source)
        unheard = self._unheard(at)
        if known is None or known.at < self.newest - FORGOTTEN_US:
            self.newest = at if self.mark is None else max(at, self.newest)
            known = self._join(source, at)
        elif at <= (known.beaten if beat else known.at):
            return False
        self.newest = max(self.newest, at)
        before = known.at
        if beat:
            self._beat(source, known, at)
            if unheard is not None:
                self.news.append(Silence("", unheard, at))
        elif source in self._silent and at // _TOLD_US > before // _TOLD_US:
            self.news.append(Silence(source, at, None))
        self._lose()
        known.at = max(before, at)
        moved = self.reach(self._present() - self._lateness_us)
        if moved and paced and start is not None and (self.mark or 0) - start > LEAP_US:
            self.leap = start
        return moved

    def _paced(self, at: int) -> bool:
        """Whether a signal at `at` may be a leap: a log without any watcher may rest for long."""
        if at <= self.newest + SILENT_US // 2:
            return False
        edge = self.newest - FORGOTTEN_US
        return any(one.at >= edge for one in self._watchers.values())

    def look(self, now: int) -> list[tuple[str, bool]]:
        """Return the watchers that fell silent, or came back, since the last look at a clock.

        Args:
            now: what the clock says, which goes on also where the whole cluster is silent.
        """
        found = []
        for name, one in sorted(self._watchers.items()):
            missed = one.beaten < now - SILENT_US
            if missed is not one.missed:
                one.missed = missed
                found.append((name, missed))
        return found

    def watchers(self) -> list[str]:
        """Return the sources of heartbeats, in order."""
        return sorted(self._watchers)

    def dismiss(self, source: str) -> bool:
        """Forget a watcher that ended; return whether it was told as silent.

        To absences it is silent from its last word on: they know nothing more of what it watched.
        """
        known = self._watchers.pop(source)
        self.sources.pop(source, None)
        if source not in self._silent:
            self.news.append(Silence(source, known.at, None))
        self._silent.discard(source)
        return bool(known.missed)

    def reach(self, mark: int) -> bool:
        """Move the mark up to `mark`; return whether it moved."""
        if self.mark is not None and mark <= self.mark:
            return False
        self.mark = mark
        return True

    def dump(self) -> StreamTimeState:
        """Return the state."""
        edge = self.newest - FORGOTTEN_US
        sources = {n: one for n, one in self.sources.items() if one.at >= edge or one.missed}
        return StreamTimeState(sources, self.newest, self.mark, self.away, self.left)

    def _join(self, source: str, at: int) -> SourceTime:
        edge = self.newest - FORGOTTEN_US
        if len(self.sources) > self._most:
            sources = self.sources.items()
            self.sources = {n: one for n, one in sources if one.at >= edge or one.missed}
            self._most = 2 * len(self.sources) + _SPARE
        known = self.sources[source] = SourceTime(at, beats=False)
        forgotten = [
            name
            for name, one in self._watchers.items()
            if one.at < edge and (name == source or not one.missed)
        ]
        for name in forgotten:
            del self._watchers[name]
        self._silent.difference_update(forgotten)
        return known

    def _unheard(self, at: int) -> int | None:
        """Return since when no watcher was heard, where that is long before `at`, and news."""
        if at - self.newest <= SILENT_US or len(self._silent) == len(self._watchers):
            return None
        return max(one.at for one in self._watchers.values())

    def _beat(self, source: str, known: SourceTime, at: int) -> None:
        """Take note of a heartbeat, and of the end of a silence of `source`."""
        before = known.beaten if known.beats else known.at
        if not known.beats:
            known.beats = True
            self._watchers[source] = known
            self.news.append(Silence(source, None, at))
        known.beaten = at
        if source in self._silent and at >= self.newest - SILENT_US:
            self._silent.discard(source)
            self.news.append(Silence(source, None, at))
        elif at - before > SILENT_US:
            self.news.append(Silence(source, known.at, at))
        self._least = self._least_beaten()

    def _least_beaten(self) -> int:
        return min((one.beaten for one in self._watchers.values()), default=0)

    def _lose(self) -> None:
        """Take note of the watchers that fell silent, each since it was last heard."""
        edge, lost = self.newest - SILENT_US, False
        for name, source in self._watchers.items():
            if source.beaten < edge and name not in self._silent:
                self._silent.add(name)
                self.news.append(Silence(name, source.at, None))
                lost = True
        if lost and len(self._silent) == len(self._watchers):
            since = max(one.at for one in self._watchers.values())
            self.news.append(Silence("", since, None))

    def _present(self) -> int:
        live = (one.at for name, one in self._watchers.items() if name not in self._silent)
        return min(live, default=self.newest)
