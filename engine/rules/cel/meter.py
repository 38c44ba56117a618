"""The evaluation budget: no expression may hold the process for longer than 100 ms."""

from typing import Final

from engine.rules.cel.errors import COST, EvaluationError

BUDGET: Final = 400_000
"""Units of one evaluation. A unit stands for one small step of compiled code, 0.05 to 0.2 us."""


class Meter:
    """What one evaluation may still spend."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = BUDGET

    def spend(self, units: int) -> None:
        """Take `units` from the budget.

        Raises:
            EvaluationError: cost, when the budget is used up.
        """
        self.left -= units
        if self.left < 0:
            raise EvaluationError(COST, f"the expression costs more than {BUDGET} steps")

    def spend_text(self, characters: int) -> None:
        """Take what it costs to read or write so many characters, 16 a unit."""
        self.spend(1 + (characters >> 4))


class Unmetered(Meter):
    """Pays for calls whose cost the source bounds: one side is a literal."""

    __slots__ = ()

    def spend(self, units: int) -> None:
        """Take nothing."""


UNMETERED: Final = Unmetered()
