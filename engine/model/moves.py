"""Moves of state machines: each machine is a table, and this is the one way through it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from engine.model.errors import IllegalMove

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)


def after(
    table: Mapping[tuple[State, Event], State], noun: str, state: State, event: Event
) -> State:
    """Return the state that follows `state` on `event`.

    Args:
        table: (state, event) -> state, every move that there is.
        noun: what moves, for the error.
        state: where it stands.
        event: what happens to it.

    Raises:
        IllegalMove: the table has no such move; the state stays.
    """
    to = table.get((state, event))
    if to is None:
        allowed = ", ".join(known for at, known in table if at is state) or "nothing, it is final"
        raise IllegalMove(f"{noun} is {state}: '{event}' is no move; allowed: {allowed}")
    return to
