"""Firing: one episode of one rule for one group key; Transition: a move within it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from engine.model.signal import Signal


class State(StrEnum):
    """What a transition leads to."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"
    INACTIVE = "inactive"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True)
class Transition:
    """One move of one rule and group key, as the evaluator found it.

    Attributes:
        at: stream time in microseconds since 1970 at which it became true.
        rule: name of the rule.
        key: group key, `{name as written in by: value}`.
        state: where it moved to.
        value: the measures (`m`), or the last value, as JSON.
        firing: id of the episode; empty while it is not firing.
        reason: short stable word: threshold, hold, cleared, no data, inhibited, cooldown,
            rule changed, rule removed, storm ...
        cause: id of the signal that decided, empty for a timer.
        members: names of the objects or series that are true, at most 20, and `member_count`.
        node: node of the deciding signal where known, for inhibition and grouping.
        depth: how many missions and changes of dogwatch lie on the way to it.
    """

    at: int
    rule: str
    key: Mapping[str, str]
    state: State
    value: Mapping[str, Any] = field(default_factory=dict)
    firing: str = ""
    reason: str = ""
    cause: str = ""
    members: tuple[str, ...] = ()
    member_count: int = 0
    node: str = ""
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Launch:
    """The evaluator's order to start the mission of a firing: settled, not held back.

    `mode`, `approval`, `targets`, `advise`: see engine.model.mission.MissionRow. `parent` is the
    mission whose end made the rule fire, empty for any other cause.
    """

    at: int
    rule: str
    key: Mapping[str, str]
    firing: str
    mission: str
    kind: str
    params: Mapping[str, Any]
    clusters: tuple[str, ...] = ()
    depth: int = 0
    mode: str = "report"
    approval: str = "person"
    targets: Mapping[str, Any] = field(default_factory=dict)
    advise: str = "off"
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of the evaluator found; each tuple in order of stream time.

    `notices` is what people are told of now: openings (put off by `debounce`), ends, and
    `reminders`: firings that go on, with state firing, reason repeat, and no new episode.
    `conditions` is what another evaluator is to fold, in its order: see engine.stream.stage.
    """

    transitions: tuple[Transition, ...] = ()
    launches: tuple[Launch, ...] = ()
    notices: tuple[Transition, ...] = ()
    conditions: tuple[Signal, ...] = ()

    @property
    def reminders(self) -> tuple[Transition, ...]:
        """The notices that say: it still fires."""
        return tuple(one for one in self.notices if one.reason == "repeat")
