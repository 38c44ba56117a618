"""Found: what the evaluator found since it was last given out, in all clusters."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from engine.model.firing import Launch, State, Transition
from engine.stream.account import Ledger
from engine.stream.orders import Order, told_of_end
from engine.stream.reasons import Reason


@dataclass
class Found:
    """Moves, missions, notices with the instant of each, and what was counted."""

    transitions: list[Transition] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    notices: list[tuple[int, Transition]] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)
    ledger: Ledger = field(default_factory=Ledger)

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
