"""Relay: what is told in the first stage goes on to the second one.

Within the same step, where one evaluator folds both; else it is given out, to be folded elsewhere.
"""

from collections.abc import Iterable

import msgspec

from engine.model.firing import Transition
from engine.model.instant import from_us, to_us
from engine.model.signal import Signal, identity_of
from engine.stream.cluster_fold import ClusterFold
from engine.stream.correlator import Change, Correlator
from engine.stream.second_stage import SECOND, TOLD, condition, health, silence
from engine.stream.shared import Shared
from engine.stream.stage import Stage


class Relay:
    """Feeds the second stage among the `folds` of all clusters.

    `correlator` knows which firings are open, where the second stage is folded here.
    """

    __slots__ = ("_folds", "_news", "_passed", "_shared", "_stage", "correlator")

    def __init__(self, shared: Shared, folds: dict[str, ClusterFold], stage: Stage) -> None:
        """Start with nothing to pass on."""
        self._stage = stage
        self._shared = shared
        self._folds = folds
        self._passed = 0
        self._news: list[tuple[Transition, str]] = []
        self.correlator = Correlator(shared.found.counters)

    def join(self, signal: Signal) -> ClusterFold:
        """Return the fold of a cluster of which this is the first signal; it is away yet."""
        fold = self._folds[signal.cluster] = ClusterFold(signal.cluster, self._shared)
        fold.time.away = True
        return fold

    def across(self, signal: Signal) -> None:
        """Take in a signal of the second stage; a clock also tells which watchers are silent."""
        clock = signal.type == "clock"
        if self._stage.across:
            self._fold(signal)
        elif not clock:
            self._shared.found.counters["misplaced"] += 1
        if clock:
            self._look_at_watchers(to_us(signal.time))

    def _give(self, signal: Signal) -> None:
        """Let the second stage have `signal`, here or elsewhere."""
        if self._stage.across:
            self._fold(signal)
        else:
            self._shared.found.conditions.append(signal)

    def _fold(self, signal: Signal) -> None:
        """Fold a signal of the second stage, at its newest instant if that is later."""
        fold = self._folds.get(SECOND)
        if fold is None:
            fold = self._folds[SECOND] = ClusterFold(SECOND, self._shared)
        mark, at = fold.time.mark, to_us(signal.time)
        shown = signal
        if mark is not None and at < mark:
            shown = msgspec.structs.replace(signal, time=from_us(mark))
        elif self.correlator.chained:
            self._run_up(fold, at)
        again = identity_of(signal) in fold.recent.ids
        fold.fold(shown)
        if signal.type == "condition" and not again:
            self._correlate(fold, self.correlator.hear(signal), fold.time.mark or at)
        self.gather(SECOND)

    def run_to(self, at: int) -> None:
        """Move the time of the second stage to `at`."""
        fold = self._folds.get(SECOND)
        if fold is not None:
            if self.correlator.chained:
                self._run_up(fold, at)
            fold.run_to(at)
            self.gather(SECOND)
            while (due := fold.next_timer()) is not None and due <= at:
                fold.run()  # what was correlated at the very end may be due at once
                self.gather(SECOND)

    def regroup(self) -> None:
        """Let rules that correlate firings look at all of them, as the rules have changed."""
        fold = self._folds.get(SECOND)
        if fold is not None:
            self._correlate(fold, self.correlator.all(fold), fold.time.mark or 0)
            self.gather(SECOND)

    def _run_up(self, fold: ClusterFold, at: int) -> None:
        """Run the timers up to `at` one instant at a time, and let each be correlated at once."""
        while (due := fold.next_timer()) is not None and max(due, fold.time.mark or 0) < at:
            fold.run_to(max(due, fold.time.mark or 0))
            self.gather(SECOND)

    def _correlate(self, fold: ClusterFold, changes: Iterable[Change], at: int) -> None:
        for change in changes:
            self.correlator.apply(change, fold, at)

    def waits(self) -> bool:
        """Whether something was told that was not gathered yet."""
        found = self._shared.found
        return len(found.transitions) > self._passed or bool(found.ledger.turns or found.told)

    def gather(self, cluster: str) -> None:
        """Keep what was told in a cluster since the last call, to be passed on.

        What the second stage tells is correlated at once: other firings may come of it.
        """
        transitions = self._shared.found.transitions
        while new := transitions[self._passed :]:
            self._passed = len(transitions)
            if cluster != SECOND:
                self._news += [(told, cluster) for told in new]
            elif (fold := self._folds.get(SECOND)) is not None:
                for told in new:
                    at = max(told.at, (fold.time.mark or 0) - 1)
                    self._correlate(fold, self.correlator.tell(told), at)

    def pass_on(self) -> None:
        """Let the second stage know of what first-stage rules told, and how rules fare.

        What is told of clusters comes last: a cluster leaves when all of it has ended.
        """
        found, readers = self._shared.found, self._shared.readers
        ledger = found.ledger
        while self._news or ledger.turns or found.told:
            news, turns = sorted(self._news, key=_place), list(ledger.turns)
            of_clusters = list(found.told)
            for passed in (self._news, ledger.turns, found.told):
                passed.clear()
            for told, cluster in news:
                if told.state in TOLD:
                    self._give(condition(told, cluster, readers.get(told.rule)))
            for turn in turns:
                self._give(health(turn, readers.get(turn.rule)))
            for signal in of_clusters:
                self._give(signal)

    def given_out(self) -> None:
        """What was told has been given out, and is no more among what was found."""
        self._passed = 0

    def _look_at_watchers(self, now: int) -> None:
        """Let the second stage know which watchers are silent at `now`, by the clock."""
        for cluster in sorted(self._folds.keys() - {SECOND}):
            fold = self._folds[cluster]
            for source, silent in fold.time.look(now):
                fold.moved = True
                self._give(silence(cluster, source, now, silent=silent))


def _place(one: tuple[Transition, str]) -> tuple[int, str, list[tuple[str, str]]]:
    told = one[0]
    return told.at, told.rule, sorted(told.key.items())
