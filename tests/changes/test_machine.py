"""The one table of moves of a change, walked whole, and what takes each of its states on."""

from __future__ import annotations

from itertools import product

import pytest

from engine.changes.drive import STEPS
from engine.model.change_state import MOVES, ChangeEvent, ChangeState, move
from engine.model.errors import IllegalMove

S, E = ChangeState, ChangeEvent
EVERY = list(product(ChangeState, ChangeEvent))
FINAL = {state for state in ChangeState if state.final}
UNWRITTEN = {S.REJECTED, S.EXPIRED, S.SUPERSEDED, S.PRECHECK_FAILED, S.DRY_RUN_FAILED, S.CONFLICT}
WRITTEN = {S.VERIFIED, S.ROLLED_BACK, S.NEEDS_HUMAN}


@pytest.mark.parametrize(("state", "event"), EVERY)
def test_every_pair_is_in_the_table_or_is_no_move(state: ChangeState, event: ChangeEvent) -> None:
    if (state, event) in MOVES:
        assert move(state, event) is MOVES[state, event]
    else:
        with pytest.raises(IllegalMove, match=f"change is {state}"):
            move(state, event)


def test_a_change_ends_where_nothing_was_written_or_where_all_is_told() -> None:
    assert FINAL == UNWRITTEN | WRITTEN


def test_every_state_is_reached_from_a_draft() -> None:
    assert reached(S.DRAFT) == set(ChangeState)


@pytest.mark.parametrize("state", [state for state in ChangeState if not state.final])
def test_every_other_state_reaches_an_end(state: ChangeState) -> None:
    assert reached(state) & FINAL


@pytest.mark.parametrize("step", [S.APPROVED, S.PRECHECKING, S.DRY_RUN_OK])
def test_no_way_to_applying_goes_round_the_approval_and_the_checks(step: ChangeState) -> None:
    assert S.APPLYING not in reached(S.DRAFT, without=step)


@pytest.mark.parametrize("step", [S.APPLYING, S.VERIFYING])
def test_nothing_is_verified_that_was_not_applied_and_watched(step: ChangeState) -> None:
    assert S.VERIFIED not in reached(S.DRAFT, without=step)


def test_only_a_decision_approves() -> None:
    to_approved = {event for (_, event), to in MOVES.items() if to is S.APPROVED}
    assert to_approved == {E.APPROVE, E.HOLD}
    held = {state for (state, event) in MOVES if event is E.HOLD}
    assert held == {S.PRECHECKING, S.DRY_RUN_OK}


def test_what_was_begun_never_ends_as_if_nothing_had_been_written() -> None:
    for state in (S.VERIFYING, S.VERIFY_FAILED, S.ROLLING_BACK):
        # The next wave leads back to applying, which knows what was written before.
        assert not reached(state, without=S.APPLYING) & UNWRITTEN


def test_there_is_one_step_for_each_state_that_is_not_an_end() -> None:
    assert set(STEPS) == set(ChangeState) - FINAL


def reached(state: ChangeState, *, without: ChangeState | None = None) -> set[ChangeState]:
    """Return the states that `state` can come to, itself included, never through `without`."""
    found, left = {state}, [state]
    while left:
        at = left.pop()
        for (frm, _), to in MOVES.items():
            if frm is at and to is not without and to not in found:
                found.add(to)
                left.append(to)
    return found
