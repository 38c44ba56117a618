"""Followed: what is kept of each series that is followed. Pure."""

from dataclasses import dataclass, field
from typing import Final

from engine.analysis.track import Track
from watchers.aims import Aim, Labels, Side

FINE_S: Final = 120
FINE: Final = 120
HOUR_S: Final = 3600
HOURS: Final = 168
"""A series itself is kept for four hours, and the past of its kind for a week."""


@dataclass(slots=True)
class Past:
    """What series of one kind did by the hour; `heard` is the time of the last sample."""

    hours: Track
    heard: float = 0.0


@dataclass(slots=True)
class Series:
    """One series toward its limit."""

    metric: str
    aim: Aim
    labels: Labels
    past: Past
    fine: Track = field(default_factory=lambda: Track(FINE_S, FINE))
    latest: float = 0.0
    promising: bool = False


@dataclass(slots=True)
class Load:
    """One metric of one workload, all its pods together."""

    metric: str
    side: Side
    labels: Labels
    past: Past
    fine: Track = field(default_factory=lambda: Track(FINE_S, FINE))


def hours(name: str) -> Track:
    """Return an empty past; of one named `peak/...` the highest value of each hour."""
    return Track(HOUR_S, HOURS, peak=name.startswith("peak/"))
