"""The hold's table."""

from itertools import product

import pytest

from engine.model.errors import IllegalMove
from engine.stream.hold import TABLE, Event, Phase, move

PAIRS = list(product(Phase, Event))


@pytest.mark.parametrize(("phase", "event"), PAIRS)
def test_every_pair_is_in_the_table_or_is_refused(phase: Phase, event: Event) -> None:
    if (phase, event) in TABLE:
        assert move(phase, event) is TABLE[phase, event]
    else:
        with pytest.raises(IllegalMove, match=f"key is {phase}: '{event}' is no move"):
            move(phase, event)


def test_every_phase_is_reached_and_left_again() -> None:
    assert {after for (before, _), after in TABLE.items() if before is not after} == set(Phase)
    assert {before for (before, _), after in TABLE.items() if before is not after} == set(Phase)


def test_nothing_fires_without_being_held() -> None:
    into = {
        event
        for (before, event), after in TABLE.items()
        if after is Phase.FIRING and before is not after
    }
    assert into == {Event.HELD}


def test_an_end_of_the_rule_ends_every_phase() -> None:
    assert {move(phase, Event.ENDS) for phase in Phase} == {Phase.INACTIVE}
