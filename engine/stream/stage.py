"""Stages: which part of the fold an evaluator does."""

from enum import StrEnum


class Stage(StrEnum):
    """What an evaluator folds.

    BOTH: signals of clusters, and in the same step what they tell the second stage.
    FIRST: signals of clusters alone; what is told comes out as `Step.conditions`. A `clock` only
    makes it look at silent watchers.
    SECOND: those conditions, missions and clocks alone. A condition, or a cluster that joined,
    may come again within two hours and counts once.
    """

    BOTH = "both"
    FIRST = "first"
    SECOND = "second"

    @property
    def of_clusters(self) -> bool:
        """Whether signals of clusters are folded."""
        return self is not Stage.SECOND

    @property
    def across(self) -> bool:
        """Whether signals of the second stage are folded."""
        return self is not Stage.FIRST
