"""Shared: what the folds of all clusters have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.stream.found import Found
from engine.stream.index import Index
from engine.stream.reader import Reader

REMEMBERED = frozenset({"alert", "audit", "k8s.event", "mission"})
"""Types of signals that may come again hours later."""


@dataclass
class Shared:
    """Rules, counters, and what was found.

    `remembered` are the types of signals that may come again hours later.
    """

    lateness_us: int
    remembered: frozenset[str] = REMEMBERED
    found: Found = field(default_factory=Found)
    readers: Mapping[str, Reader] = field(default_factory=dict)
    index: Index = field(default_factory=lambda: Index(()))
