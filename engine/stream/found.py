"""Found: what the evaluator found since it was last given out, in all clusters."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from engine.model.firing import Launch, State, Step, Transition
from engine.model.signal import Signal
from engine.stream.account import Ledger
from engine.stream.orders import Order, told_of_end
from engine.stream.reasons import Reason


@dataclass
class Found:
    """Moves, missions, notices with the instant of each, and what was counted.

    `conditions` are for the second stage where another evaluator folds it; `told` waits to be
    given to it.
    """

    transitions: list[Transition] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    notices: list[tuple[int, Transition]] = field(default_factory=list)
    conditions: list[Signal] = field(default_factory=list)
    told: list[Signal] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)
    ledger: Ledger = field(default_factory=Ledger)

    def give_out(self) -> Step:
        """Return what was found since the last call, each in order of stream time."""
        if not (self.transitions or self.launches or self.notices or self.conditions):
            return _NOTHING
        step = Step(
            tuple(sorted(self.transitions, key=_place)),
            tuple(sorted(self.launches, key=_place)),
            tuple(told for _, told in sorted(self.notices, key=_place_of_notice)),
            tuple(self.conditions),
        )
        for found in (self.transitions, self.launches, self.notices, self.conditions):
            found.clear()
        return step

    def end(self, told: Transition, orders: Sequence[Order]) -> None:
        """Take in the end of something open, whose orders are `orders`."""
        self.transitions.append(told)
        if told.state is State.RESOLVED:
            self.notices += [(told.at, one) for one in told_of_end(told, orders)]

    def suppress(self, told: Transition, at: int, reason: Reason) -> None:
        """Tell that the mission of the firing `told` is held back at `at`, and why."""
        held = replace(told, at=at, state=State.SUPPRESSED, reason=reason.value, cause="")
        self.transitions.append(held)
        self.hold_back(told.rule, reason)

    def hold_back(self, rule: str, reason: Reason) -> None:
        """Count something that is held back."""
        self.counters[f'suppressed{{rule="{rule}",reason="{reason}"}}'] += 1


def _place(one: Transition | Launch) -> tuple[int, str, list[tuple[str, str]]]:
    return one.at, one.rule, sorted(one.key.items())


def _place_of_notice(one: tuple[int, Transition]) -> tuple[int, str, list[tuple[str, str]]]:
    at, told = one
    return at, told.rule, sorted(told.key.items())


_NOTHING: Final = Step()
