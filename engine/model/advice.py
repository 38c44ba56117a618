"""Advice: what a model may add to a report, and the record of how it came about."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from engine.model.report import Report


@dataclass(frozen=True)
class Advised:
    """A report with what the model added, and what is kept of the exchange.

    `report` has the same findings and changes as before; with `rank` their order may differ.
    `record` holds the redacted prompt, model, answer, validation and tokens; empty when nobody
    was asked.
    """

    report: Report
    record: dict[str, Any] = field(default_factory=dict)


class Tally(Protocol):
    """Counts the tokens of a day over all processes. Raises StoreError."""

    def model_tokens(self, day: str) -> int:
        """Return the tokens spent on `day` (2026-12-01)."""
        ...

    def add_model_tokens(self, day: str, tokens: int) -> None:
        """Add to what was spent on `day`."""
        ...
