"""The fold of one cluster: its stream time, its cells, and the timers between them."""

from collections.abc import Iterable, Iterator
from heapq import heappop

from engine.model.instant import to_us
from engine.model.signal import FOLD_ONLY, HEARTBEAT, Signal, identity_of
from engine.stream.cell import Cell
from engine.stream.comings import passage
from engine.stream.dispatch import CellId, Dispatch
from engine.stream.feeds import Feed
from engine.stream.gaps import silences, told_of_gaps
from engine.stream.keys import Keys, renewed
from engine.stream.reader import Reader
from engine.stream.reasons import Reason
from engine.stream.recent import Recent
from engine.stream.sample import Sample
from engine.stream.second_stage import SECOND
from engine.stream.shared import Shared
from engine.stream.sight import Sight, leaving
from engine.stream.stream_time import StreamTime, StreamTimeState
from engine.stream.timers import ORDER, Timers


class ClusterFold:
    """Folds the signals of one cluster, one by one, in the order of the log."""

    def __init__(self, name: str, shared: Shared, state: StreamTimeState | None = None) -> None:
        """Start anew, or with the stream time of a checkpoint; see `place` for its cells."""
        self.name = name
        self.second = name == SECOND
        lateness_us = 0 if self.second else shared.lateness_us
        self.time = StreamTime(lateness_us, state)
        self.recent = Recent(lateness_us)
        self.keys = Keys(name)
        self.cells, self._holders = self.keys.cells, self.keys.holders
        self.touched: set[CellId] = set()
        self.moved = False
        self._shared = shared
        self._ledger = shared.found.ledger
        self._begins = self.second
        self._timers = Timers(self.cells)
        self._dispatch = Dispatch(name, shared.found, self._timers.order, self.touched)

    def fold(self, signal: Signal) -> None:
        """Fold one signal: move time, run the timers that it passed, then ask the rules."""
        at = to_us(signal.time)
        kind, recent, time = signal.type, self.recent, self.time
        ledger = self._ledger
        ledger.cluster, ledger.at = self.name, at
        if kind in FOLD_ONLY:
            self._take_note(signal, at)
            return
        if time.left:
            self._shared.found.counters["left"] += 1
            return
        identity = identity_of(signal)
        if identity in recent.ids:
            self._shared.found.counters["duplicate"] += 1
            return
        if time.mark is not None and at < time.mark:
            self._shared.found.counters["late"] += 1
            return
        if self.second or not time.follow(signal.source, at):
            self._pass_time(signal.source, at, beat=kind == "clock")
        else:
            self.moved = True
            self.run()
        if self._begins:
            self._begin(at)
        kept = "events" if kind in self._shared.remembered else "ids"
        if not self._shared.index.shapes(signal):
            recent.remember(identity, at, kept)
            return
        sight = Sight(signal, at)
        series = sight.series if sight.level else ""
        later = recent.after(series, at) if series and at < time.newest else []
        recent.remember(identity, at, kept, series)
        self._ask(sight, series, later)

    def next_timer(self) -> int | None:
        """Return the instant of the next timer, None for none."""
        return self._timers.heap[0][0] if self._timers.heap else None

    def run_to(self, at: int) -> None:
        """Move stream time to `at` and run the timers up to and including it."""
        if self.time.reach(at + 1):
            self._ledger.cluster, self._ledger.at = self.name, at
            self.moved = True
            self.run()

    def place(self, cell: Cell) -> None:
        """Take in a cell of a checkpoint."""
        where = self.keys.add(cell)
        self._dispatch.take_in(where, cell)
        self._timers.wake(where, cell, self._mark())

    def swap(self) -> None:
        """Go on under the new rules of `Shared`: keep, begin anew or drop each cell."""
        self._ledger.cluster = self.name
        self._begins = self.second
        for where, cell in self.keys.in_order():
            reader = self._shared.readers.get(where[0])
            if reader is None:
                self._end(where, cell, Reason.RULE_REMOVED)
            elif reader.rule.hash != cell.rule.hash:
                self._end(where, cell, Reason.RULE_CHANGED)
                self.renew(reader, cell.key, cell)
            else:
                before = cell.rule
                cell.rebind(reader, self._mark())
                self._dispatch.rebind(where, cell, before, self._mark())
                self._after(where, cell, self._mark())

    def renew(self, reader: Reader, key: tuple[str, ...], old: Cell) -> None:
        """Begin the cell of a changed rule, where there is something to remember."""
        mark = self._mark()
        cell = renewed(old, reader, key, mark)
        if not cell.idle(mark):
            self.place(cell)

    def _mark(self) -> int:
        return self.time.mark or 0

    def _take_note(self, signal: Signal, at: int) -> None:
        """Take in who speaks for the cluster, and whether it is there (engine.stream.comings)."""
        self.moved = True
        found = passage(self.time, self.name, signal, at)
        if found.ends is not None:
            for where, cell in self.keys.in_order():
                self._end(where, cell, found.ends)
            self._ledger.leave(self.name)
        self._shared.found.told += found.told
        if signal.type == HEARTBEAT:
            self._pass_time(signal.source, at, beat=True)
        else:
            self._tell_gaps(self._mark())

    def _pass_time(self, source: str, at: int, *, beat: bool) -> None:
        self.moved = True
        before = self._mark()
        moved = self.time.see(source, at, beat=beat)
        if self.second:
            moved = self.time.reach(at) or moved
        if self.time.news or self.time.leap >= 0:
            self._tell_gaps(before)
        if moved:
            self.run()

    def _tell_gaps(self, before: int) -> None:
        """Let absences and schedules know of silent watchers and of a leap of stream time."""
        mark = self._mark()
        silent, start = list(silences(self.time.news, before, mark)), self.time.leap
        self.time.news.clear()
        self.time.leap = -1
        for where, cell in self.keys.gapped():
            for sample in told_of_gaps(cell.reader, silent, start, mark):
                cell.fold(sample, before)
                self._after(where, cell, before)

    def _begin(self, at: int) -> None:
        """Let schedules without a condition begin: to them it is enough that time passes."""
        self._begins = False
        for name, reader in sorted(self._shared.readers.items()):
            if reader.alone and (name, ()) not in self.cells:
                where, cell = self.keys.of(reader, ())
                self.put(where, cell, Sample(at, "clock"))

    def run(self) -> None:
        """Run what stream time has passed: cells first, then missions, instant by instant."""
        timers, mark = self._timers.heap, self.time.mark or 0
        while timers and timers[0][0] < mark:
            at, what, name, key = heappop(timers)
            where = (name, key)
            cell = self.cells.get(where)
            if cell is None:
                continue
            if what == ORDER:
                self._settle(where, cell, at)
            elif cell.wake == at:
                cell.wake = None
                cell.run_to(at)
                self._after(where, cell, at + 1)
        if mark >= self.recent.due:
            self.recent.forget(mark)

    def _ask(self, sight: Sight, series: str, later: list[int]) -> None:
        readers = self._shared.index.find(sight.signal)
        if not readers and series not in self._holders:
            return
        asked: set[CellId] = set()
        undecided: set[str] = set()
        for reader in readers:
            wheres, decided = self._into(reader, sight, later)
            asked.update(wheres)
            if not decided:
                undecided.add(reader.rule.name)
        holders = self._holders.get(series) if series else None
        if holders:
            for where, cell in sorted(holders.items(), key=lambda one: one[0]):
                apart = cell.reader.windowed and not (sight.gone or cell.reader.listens)
                if where not in asked and where[0] not in undecided and not apart:
                    self.put(where, cell, leaving(sight, sight.at))

    def _into(
        self, reader: Reader, sight: Sight, later: list[int]
    ) -> tuple[Iterable[CellId], bool]:
        """Return the cells that took the signal in, and whether the rule could decide."""
        if reader.feed is not None:
            return list(self._feed(reader.feed, reader, sight, later)), True
        if reader.windowed:
            where, decided = self._into_window(reader, sight, later), True
        else:
            where, decided = self._into_members(reader, sight, later)
        return () if where is None else (where,), decided

    def _feed(self, feed: Feed, reader: Reader, sight: Sight, later: list[int]) -> Iterator[CellId]:
        for key, sample in feed.read(sight):
            where, cell = self.keys.of(reader, key)
            if sample.series:
                self.keys.hold(sample.series, where, cell)
            self.put(where, cell, sample)
            if sample.series:
                self._leave_later(where, cell, sight, later)
            yield where

    def _into_window(self, reader: Reader, sight: Sight, later: list[int]) -> CellId | None:
        sample = reader.window(sight)
        key = reader.key(sight) if sample is not None else None
        if sample is None or key is None:
            return None
        where, cell = self.keys.of(reader, key)
        counts = any(raw is not None for raw in sample.raws)
        if reader.follows and sight.mortal and (reader.listens or counts):
            self.keys.hold(sample.series, where, cell)
        self.put(where, cell, sample)
        if reader.listens:
            self._leave_later(where, cell, sight, later)
        return where

    def _into_members(
        self, reader: Reader, sight: Sight, later: list[int]
    ) -> tuple[CellId | None, bool]:
        """Return the cell that took the signal in, and whether the rule could decide."""
        sample = reader.level(sight)
        if sample is None:
            return None, False
        kept = reader.remembers
        if not kept and (sample.gone or not (sample.met or not sample.cleared)):
            return None, True
        key = reader.key(sight)
        known = key is not None and (kept or sample.met or (reader.rule.name, key) in self.cells)
        if key is None or not known:
            return None, True
        where, cell = self.keys.of(reader, key)
        if sample.series:
            self.keys.hold(sample.series, where, cell)
        self.put(where, cell, sample)
        self._leave_later(where, cell, sight, later)
        return where, sample.met is not None

    def _leave_later(self, where: CellId, cell: Cell, sight: Sight, later: list[int]) -> None:
        """Let the object of `sight` leave where its later signals, that came already, say so."""
        for at in later:
            if not cell.condition.has(sight.series, at):
                self.put(where, cell, leaving(sight, at))

    def put(self, where: CellId, cell: Cell, sample: Sample) -> None:
        """Let a cell fold a sample in, and follow up what comes of it."""
        mark = self._mark()
        cell.fold(sample, mark)
        self._after(where, cell, mark)
        if cell.orders and not cell.rule.settle_us:
            self._dispatch.settle_at_once(where, cell, mark)
            self._after(where, cell, mark)

    def _after(self, where: CellId, cell: Cell, limit: int) -> None:
        """Tell what may be told of before `limit`, let go of what is final, set the timer."""
        for entry in cell.tell(limit):
            self._dispatch.tell(where, cell, entry)
        mark = self._mark()
        for series in cell.trim(mark):
            self.keys.let_go(series, where)
        self.touched.add(where)
        if cell.idle(mark):
            self.keys.drop(where, cell)
        else:
            self._timers.wake(where, cell, mark)

    def _settle(self, where: CellId, cell: Cell, at: int) -> None:
        self._dispatch.settle(where, cell, at)
        self._after(where, cell, min(at + 1, self._mark()))

    def _end(self, where: CellId, cell: Cell, reason: Reason) -> None:
        self.keys.drop(where, cell)
        self.touched.add(where)
        self._dispatch.end(where, cell, self._mark(), reason)

    def open_cells(self) -> Iterator[Cell]:
        """Yield the cells that were told as pending or firing, in order of rule and key."""
        yield from (cell for _, cell in self.keys.in_order() if cell.opened is not None)
