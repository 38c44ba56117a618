"""Timers of cells: those that were put off do not pile up."""

from collections import Counter

from engine.stream.account import Ledger
from engine.stream.cell import Cell
from engine.stream.reader import Reader
from engine.stream.sight import Sight
from engine.stream.timers import CELL, ORDER, Timers
from tests.stream.building import a_pod, a_rule, us

KEY = ("c1", "shop", "web")
WHERE = ("r", KEY)


def a_cell() -> Cell:
    rule = a_rule(
        when="signal.data.restarts > 3",
        by=("cluster", "namespace", "workload"),
        stale_after="7d",
        on_nodata="resolve",
    )
    return Cell(Reader(rule, Counter(), Ledger()), "c1", KEY, storm=False)


def test_a_silence_that_each_signal_puts_off_leaves_few_timers() -> None:
    cell = a_cell()
    timers = Timers({WHERE: cell})
    for at in range(1000):
        sample = cell.reader.level(Sight(a_pod(at, restarts=5), us(at)))
        assert sample is not None
        cell.fold(sample, us(at))
        list(cell.tell(us(at) + 1))
        cell.trim(us(at) + 1)
        timers.wake(WHERE, cell, us(at) + 1)
    assert len(timers.heap) < 100
    assert (cell.wake, CELL, *WHERE) in timers.heap


def test_what_is_ordered_is_kept_and_runs_in_order() -> None:
    timers = Timers({WHERE: a_cell()})
    for at in range(300, 0, -1):
        timers.order(at, WHERE)
    assert timers.heap[0] == (1, ORDER, *WHERE)
    assert len(timers.heap) == 300


def test_timers_of_cells_that_are_gone_are_let_go() -> None:
    timers = Timers({})
    for at in range(300):
        timers.order(at, WHERE)
    assert len(timers.heap) < 100
