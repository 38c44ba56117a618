"""What came of the scenarios: one outcome each, as a table for people or JSON for machines."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.ledger.ordeal import Result

_DIFFERENCE = re.compile(r"^(?P<what>[a-z ]+?) (?P<which>lost|too much) \((?P<number>\d+)\)")


@dataclass
class Outcome:
    """What came of one scenario.

    `done` says how often what was done; `wrong` is every way in which something was not as it must
    be, in words, and why the scenario could not be played to its end.
    """

    scenario: str
    done: dict[str, int] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    took_s: float = 0.0
    missing: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong; one that could not be played here is not passed."""
        return not self.wrong and not self.missing

    def judged(self, result: Result) -> None:
        """Take over what a ledger gave."""
        self.figures.update(result.figures)
        self.wrong += result.wrong

    def count(self, what: str, which: str) -> int:
        """Return how many of `what`, such as firing, were `which`, lost or too much."""
        return _differences(self.wrong)[what, which]

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "scenario": self.scenario,
            "passed": self.passed,
            "missing": self.missing,
            "done": self.done,
            "lost_firings": self.count("firing", "lost"),
            "doubled_missions": self.count("mission of firing", "too much"),
            "took_s": round(self.took_s, 1),
            "figures": self.figures,
            "wrong": self.wrong,
        }


def table(outcomes: Iterable[Outcome]) -> Table:
    """Return the summary of a run."""
    made = Table(title="Chaos", title_justify="left")
    for name in ("scenario", "done"):
        made.add_column(name, overflow="fold")
    for name in ("signals", "expected", "found", "lost", "doubled", "repeats", "seconds"):
        made.add_column(name, justify="right")
    made.add_column("verdict")
    for one in outcomes:
        figures = one.figures
        made.add_row(
            one.scenario,
            _said(one.done),
            *(f"{figures.get(name, 0):,}" for name in ("signals", "expected_firings", "firings")),
            f"{one.count('firing', 'lost'):,}",
            f"{one.count('mission of firing', 'too much'):,}",
            f"{sum(figures.get('repeats', {}).values()):,}",
            f"{one.took_s:,.0f}",
            _verdict(one),
        )
    return made


def _said(done: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {what}" for what, number in done.items())


def _verdict(one: Outcome) -> str:
    if one.missing:
        return "not played"
    return "ok" if one.passed else f"{len(one.wrong):,} WRONG"


def _differences(wrong: Iterable[str]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for line in wrong:
        if match := _DIFFERENCE.match(line):
            found[match["what"], match["which"]] += int(match["number"])
    return found
