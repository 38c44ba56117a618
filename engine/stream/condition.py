"""Condition: what makes one key of a rule true or false, apart from its hold.

A cell gives its samples in order of time: `add` each of the newest instant, then `expire` to
it. `rewind` takes the condition back to just before an instant and hands out the samples from
there on, which the cell adds again in their right order. Nothing before the cluster's mark is
ever rewound to, so `trim` may forget it.
"""

from typing import Any, Protocol

from engine.rules.rule import Rule
from engine.stream.reasons import Reason
from engine.stream.sample import Sample, Shown


class Condition(Protocol):
    """The condition of one key; `form` is the type of what `dump` returns."""

    @property
    def form(self) -> type[Any]:
        """Type of the state."""

    def rebind(self, rule: Rule, mark: int) -> None:
        """Go on under an edited rule of the same hash, from `mark` on."""

    def add(self, sample: Sample, *, firing: bool) -> None:
        """Fold the newest sample in; `firing`: whether the key fired just before it."""

    def expire(self, at: int, *, firing: bool) -> None:
        """Let time be `at`: after the samples of that instant, and at each `next_change`."""

    def rewind(self, at: int) -> list[Sample]:
        """Go back to just before `at`; return the samples from there on, oldest first."""

    def trim(self, mark: int) -> set[str]:
        """Drop what no instant from `mark` on can see; return series that were forgotten."""

    def next_change(self) -> int | None:
        """Return the next instant at which time alone may change it, None for no such one."""

    def rest(self, mark: int) -> int | None:
        """Return when there may be nothing left to remember; None: not by time alone."""

    def idle(self, mark: int) -> bool:
        """Whether nothing is remembered that could matter from `mark` on."""

    def filled(self) -> bool:
        """Whether there is something to be true of; without it the condition is false."""

    def lasts(self) -> bool:
        """Whether a key that fires goes on although the condition is not true any more."""

    def why(self, sample: Sample | None, *, true: bool) -> Reason:
        """Return why it became true, or false: by `sample`, or (None) by time."""

    def values(self) -> dict[str, Any]:
        """Return what `having` sees as `m`, and what is shown."""

    def show(self) -> Shown:
        """Describe who or what it is true of."""

    def dump(self) -> Any:
        """Return the state; `load` on a new condition restores it."""

    def load(self, state: Any) -> None:
        """Take over what `dump` returned."""

    def series(self) -> set[str]:
        """Return every series that must tell of its moves to other keys."""

    def has(self, series: str, at: int) -> bool:
        """Whether a sample of `series` at `at` is known and not yet final."""
