"""The life of a mission, of a change and of a delivery: one check for all tables."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import product
from typing import Any, NamedTuple

import pytest

from engine.model import change_state, mission
from engine.model.errors import IllegalMove
from engine.store import outbox


class Machine(NamedTuple):
    states: type[StrEnum]
    events: type[StrEnum]
    moves: Mapping[Any, Any]
    move: Callable[[Any, Any], Any]
    start: StrEnum
    failed: StrEnum


MISSION = Machine(
    mission.MissionState,
    mission.MissionEvent,
    mission.MOVES,
    mission.move,
    mission.MissionState.QUEUED,
    mission.MissionState.FAILED,
)
DELIVERY = Machine(
    outbox.DeliveryState,
    outbox.DeliveryEvent,
    outbox.MOVES,
    outbox.move,
    outbox.DeliveryState.WAITING,
    outbox.DeliveryState.GIVEN_UP,
)
CHANGE = Machine(
    change_state.ChangeState,
    change_state.ChangeEvent,
    change_state.MOVES,
    change_state.move,
    change_state.ChangeState.DRAFT,
    change_state.ChangeState.NEEDS_HUMAN,
)
_TABLES = {"mission": MISSION, "change": CHANGE, "delivery": DELIVERY}
machines = pytest.mark.parametrize("machine", _TABLES.values(), ids=_TABLES)


def reachable(machine: Machine, state: StrEnum) -> set[StrEnum]:
    found = {state}
    while more := {to for (at, _), to in machine.moves.items() if at in found} - found:
        found |= more
    return found


@machines
def test_every_pair_is_in_the_table_or_refused(machine: Machine) -> None:
    for state, event in product(machine.states, machine.events):
        if (state, event) in machine.moves:
            assert machine.move(state, event) is machine.moves[state, event]
        else:
            with pytest.raises(IllegalMove, match=rf"is {state}: '{event}' is no move; allowed"):
                machine.move(state, event)


@machines
def test_every_state_can_be_reached(machine: Machine) -> None:
    assert reachable(machine, machine.start) == set(machine.states)


@machines
def test_every_state_that_is_not_final_has_a_way_to_failure(machine: Machine) -> None:
    for state in {state for state, _ in machine.moves}:
        assert machine.failed in reachable(machine, state)


def test_an_ended_mission_stays_as_it_is() -> None:
    ended = {mission.MissionState.DONE, mission.MissionState.CANCELLED}
    assert not ended & {state for state, _ in mission.MOVES}


def test_nothing_is_written_that_was_not_approved() -> None:
    unapproved = {
        key: to for key, to in CHANGE.moves.items() if to is not change_state.ChangeState.APPROVED
    }
    without = CHANGE._replace(moves=unapproved)
    assert change_state.ChangeState.APPLYING not in reachable(without, CHANGE.start)


def test_a_change_that_was_begun_is_approved_no_more() -> None:
    begun = reachable(CHANGE, change_state.ChangeState.APPLYING)
    assert change_state.ChangeState.APPROVED not in begun


def test_retryable_never_ends_and_rejected_ends_at_once() -> None:
    waiting = outbox.DeliveryState.WAITING
    assert outbox.move(waiting, outbox.DeliveryEvent.RETRYABLE) is waiting
    assert outbox.move(waiting, outbox.DeliveryEvent.REJECTED) is outbox.DeliveryState.GIVEN_UP


@pytest.mark.parametrize(
    ("attempts", "chance", "asked", "seconds"),
    [
        (1, 0.5, None, 0.5),
        (1, 0.0, None, 0),
        (2, 0.5, None, 1),
        (5, 0.25, None, 4),
        (9, 0.5, None, 128),
        (10, 0.5, None, 150),
        (5000, 0.5, None, 150),
        (1, 0.5, 30, 30),
        (10, 0.5, 30, 150),
        (1, 0.5, 86400, 86400),
    ],
)
def test_waiting_doubles_to_its_cap_with_jitter_and_obeys_the_receiver(
    attempts: int, chance: float, asked: float | None, seconds: float
) -> None:
    assert outbox.backoff_us(attempts, chance, asked) == int(seconds * 1_000_000)
