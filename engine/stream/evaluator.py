"""The evaluator: a pure, deterministic fold of the log. All time comes from the signals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from engine.model.firing import State, Step
from engine.model.signal import SECOND_STAGE, Signal
from engine.rules.rule import RuleSet
from engine.stream.account import Account, Degraded
from engine.stream.cell import Cell
from engine.stream.cluster_fold import ClusterFold
from engine.stream.index import Index
from engine.stream.openings import Opening
from engine.stream.reader import Reader
from engine.stream.reasons import Reason
from engine.stream.recent import Chunk, ChunkState
from engine.stream.relay import Relay
from engine.stream.second_stage import SECOND
from engine.stream.shared import REMEMBERED, Shared
from engine.stream.stage import Stage
from engine.stream.state import (
    CellState,
    dump,
    dump_cell,
    lacking,
    load,
    load_cell,
    name_of,
    parts_of,
    restore_cell,
)
from engine.stream.stream_time import StreamTimeState
from engine.stream.trail import ended


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A key that is pending or firing, as it was told.

    `since` is stream time in microseconds: the first true of a pending, the start of a firing.
    """

    rule: str
    cluster: str
    key: Mapping[str, str]
    state: State
    since: int
    firing: str
    value: Mapping[str, Any]
    members: tuple[str, ...]
    member_count: int
    reason: str


class Evaluator:
    """Folds records of signals into transitions and launches.

    Signals are folded one by one, so it makes no difference how a log is cut into records. An
    evaluator made from the merged `changes()` of another goes on exactly as that one would.
    """

    def __init__(
        self,
        rules: RuleSet,
        state: Mapping[str, bytes] = MappingProxyType({}),
        *,
        lateness_us: int = 2_000_000,
        stage: Stage = Stage.BOTH,
    ) -> None:
        """Start with `rules`, anew or from `state`.

        Firings of rules that have changed or gone since `state` was written are resolved in
        the first step.

        Args:
            rules: the rules in force; disabled ones count as absent.
            state: entries of `changes()`, merged, deleted ones left out.
            lateness_us: how far behind stream time a signal may arrive, in microseconds.
            stage: what is folded here; `state` must be of the same stage.

        Raises:
            StoreError: the state is damaged or of another version.
        """
        again = {"condition", "cluster"} if stage is Stage.SECOND else frozenset[str]()
        self._shared = Shared(lateness_us, REMEMBERED | again)
        self._stage = stage
        self._counters = self._shared.found.counters
        self._folds: dict[str, ClusterFold] = {}
        self._gone: set[str] = set()
        self._relay = Relay(self._shared, self._folds, stage)
        self._set_rules(rules)
        self._load(state)

    def step(self, signals: Sequence[Signal]) -> Step:
        """Fold one record; signals of any clusters, in any order inside the lateness.

        Signals later than that, and doubled ones, are counted and never fire. Those of the
        second stage have no cluster, and what first-stage rules tell becomes such signals here.
        What is not of the stage of this evaluator is counted as misplaced.
        """
        folds, relay = self._folds, self._relay
        for signal in signals:
            second, cluster = signal.type in SECOND_STAGE, signal.cluster
            if second is bool(cluster) or not (second or self._stage.of_clusters):
                self._counters["misplaced"] += 1
                continue
            if second:
                relay.across(signal)
                continue
            fold = folds.get(cluster)
            if fold is None:
                fold = relay.join(signal)
            fold.fold(signal)
            if relay.waits():
                relay.gather(cluster)
                relay.pass_on()
        return self._give_out()

    def advance(self, to_us: int) -> Step:
        """Move the stream time of every cluster to `to_us`; timers at `to_us` run too.

        It never goes back; signals up to `to_us` are late from then on.
        """
        for name in sorted(self._folds.keys() - {SECOND}):
            self._folds[name].run_to(to_us)
            self._relay.gather(name)
        self._relay.pass_on()
        self._relay.run_to(to_us)
        return self._give_out()

    def swap(self, rules: RuleSet) -> Step:
        """Put `rules` in force at this point of the log.

        A rule of the same hash keeps its state, and its timers follow its new settings. Of the
        others, what is open ends with the reason `rule changed` or `rule removed`.
        """
        self._set_rules(rules)
        self._regroup()
        for name in sorted(self._folds):
            self._folds[name].swap()
            self._relay.gather(name)
        self._relay.pass_on()
        self._relay.regroup()
        return self._give_out()

    def changes(self) -> dict[str, bytes | None]:
        """Return the state touched since the last call, for the checkpoint; None = deleted."""
        found: dict[str, bytes | None] = dict.fromkeys(self._gone)
        self._gone.clear()
        for name, fold in self._folds.items():
            if fold.moved:
                found[name_of("cluster", name)] = dump(fold.time.dump())
                fold.moved = False
            for chunk, state in fold.recent.dump():
                found[name_of("recent", name, *chunk)] = None if state is None else dump(state)
            for rule, key in fold.touched:
                cell = fold.cells.get((rule, key))
                place = name_of("cell", rule, name, list(key))
                found[place] = None if cell is None else dump_cell(cell)
            fold.touched.clear()
        correlator = self._relay.correlator
        for firing in correlator.touched:
            opening = correlator.openings.get(firing)
            found[name_of("opening", firing)] = None if opening is None else dump(opening)
        correlator.touched.clear()
        for (rule, name), account in self._shared.found.ledger.changes().items():
            found[name_of("rule", rule, name)] = None if account is None else dump(account)
        return found

    def counters(self) -> Mapping[str, int]:
        """Return what was counted since the start of this evaluator, by name with labels.

        late, duplicate, misplaced: signals passed over. For each rule (`name{rule="..."}`):
        missing_field, missing_key: signals without a field that the condition, or the group
        key, asks for; errors: expressions without a value for another reason; storm: signals
        of keys beyond max_keys; sequence_full: steps for which no room was left in a sequence of
        their key; bad_params: mission params that could not be rendered;
        ignored_self, too_deep: true signals that dogwatch itself made, or that too many of its
        missions led to; waited: openings given up, as too many waited for a rule that is not known
        here; suppressed{rule, reason}: missions and reminders held back.
        """
        found = self._counters.copy()
        self._shared.index.missed(found)
        return found

    def health(self) -> list[Degraded]:
        """Return the rules that failed too often in a row, by cluster, with their last error."""
        return self._shared.found.ledger.degraded()

    def stream_time(self, cluster: str) -> int | None:
        """Return the stream time of `cluster` in microseconds, None before its first signal."""
        fold = self._folds.get(cluster)
        return None if fold is None else fold.time.mark

    def open(self) -> list[OpenKey]:
        """Return the keys that are pending or firing, in order of cluster, rule and key."""
        return [
            _open_key(cell)
            for name in sorted(self._folds)
            for cell in self._folds[name].open_cells()
        ]

    def reader(self, rule: str) -> Reader | None:
        """Return the rule of this name that is in force, as signals meet it."""
        return self._shared.readers.get(rule)

    def cells(self, rule: str) -> list[Cell]:
        """Return what is remembered of the keys of `rule`, in order of cluster and key."""
        folds = (self._folds[name] for name in sorted(self._folds))
        return [
            fold.cells[where]
            for fold in folds
            for where in sorted(where for where in fold.cells if where[0] == rule)
        ]

    def _set_rules(self, rules: RuleSet) -> None:
        self._shared.index.missed(self._counters)
        ledger = self._shared.found.ledger
        in_force = (rule for rule in rules.rules if rule.enabled)
        readers = {rule.name: Reader(rule, self._counters, ledger) for rule in in_force}
        ledger.keep({name: reader.expressions() for name, reader in readers.items()})
        self._shared.readers = readers
        self._shared.index = Index(readers.values())

    def _regroup(self) -> None:
        if self._stage.across:
            self._relay.correlator.rebuild(self._shared.readers)

    def _give_out(self) -> Step:
        step = self._shared.found.give_out()
        self._relay.given_out()
        return step

    def _load(self, state: Mapping[str, bytes]) -> None:
        entries = [(parts_of(name), raw) for name, raw in sorted(state.items())]
        chunks: dict[str, dict[Chunk, ChunkState]] = {}
        for parts, raw in entries:
            if parts[0] == "cluster":
                time = load(StreamTimeState, raw)
                self._folds[parts[1]] = ClusterFold(parts[1], self._shared, time)
            elif parts[0] == "recent":
                chunks.setdefault(parts[1], {})[Chunk(*parts[2:])] = load(ChunkState, raw)
        for cluster, found in chunks.items():
            self._known(cluster).recent.load(found)
        ledger = self._shared.found.ledger
        for parts, raw in entries:
            if parts[0] == "rule":
                ledger.place(parts[1], parts[2], load(Account, raw))
        readers = self._shared.readers.items()
        ledger.keep({name: reader.expressions() for name, reader in readers})
        correlator = self._relay.correlator
        correlator.openings = {
            parts[1]: load(Opening, raw) for parts, raw in entries if parts[0] == "opening"
        }
        self._regroup()
        self._load_cells((parts, raw) for parts, raw in entries if parts[0] == "cell")
        self._relay.pass_on()
        self._relay.regroup()

    def _known(self, cluster: str) -> ClusterFold:
        if cluster not in self._folds:
            raise lacking(cluster)
        return self._folds[cluster]

    def _load_cells(self, entries: Iterable[tuple[list[Any], bytes]]) -> None:
        for (_, rule, cluster, key), raw in entries:
            state, fold, place = load(CellState, raw), self._known(cluster), tuple(key)
            reader = self._shared.readers.get(rule)
            if reader is not None and reader.rule.hash == state.hash:
                fold.place(load_cell(state, reader, cluster, place, fold.time.mark or 0))
                continue
            if state.opened is not None:
                reason = Reason.RULE_CHANGED if reader else Reason.RULE_REMOVED
                at = fold.time.mark or 0
                self._shared.found.end(ended(state.opened, at, reason), state.orders)
                self._relay.gather(cluster)
            self._gone.add(name_of("cell", rule, cluster, key))
            if reader is not None:
                fold.renew(reader, place, restore_cell(state, reader, cluster, place))
                fold.touched.add((rule, place))


def _open_key(cell: Cell) -> OpenKey:
    told: Any = cell.opened and cell.opened.transition
    return OpenKey(
        rule=told.rule,
        cluster=cell.cluster,
        key=told.key,
        state=told.state,
        since=told.at,
        firing=told.firing,
        value=told.value,
        members=told.members,
        member_count=told.member_count,
        reason=told.reason,
    )
