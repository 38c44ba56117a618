"""Series: values of one metric over time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class Point(NamedTuple):
    """One value; `at` is aware UTC, `value` is finite."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its labels without `__name__`, its points oldest first, never empty."""

    name: str
    labels: Mapping[str, str]
    points: tuple[Point, ...]
