"""The life of a mission and of a delivery: one check for both tables."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import product
from typing import Any, NamedTuple

import pytest

from engine.model import mission
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
machines = pytest.mark.parametrize("machine", [MISSION, DELIVERY], ids=["mission", "delivery"])


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
    ended = {mission.MissionState.DONE, mission.MissionState.FAILED}
    assert not ended & {state for state, _ in mission.MOVES}


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
