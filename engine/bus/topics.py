"""The topics of the bus, and the numbers that their partitions have in the store."""

from enum import StrEnum
from typing import Final, NamedTuple

CONDITIONS_PARTITION: Final = -2
"""Number of the one partition of `conditions` in the store; one of `signals` keeps its own."""


class Topic(StrEnum):
    """A topic, by its name after the prefix."""

    SIGNALS = "signals"
    CONDITIONS = "conditions"
    QUARANTINE = "quarantine"


class Log(NamedTuple):
    """One partition of a topic: records in one order, with offsets of their own."""

    topic: Topic
    partition: int

    @property
    def stored(self) -> int:
        """The number of this partition in the store."""
        return CONDITIONS_PARTITION if self.topic is Topic.CONDITIONS else self.partition

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"
