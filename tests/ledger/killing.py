"""Blows to the processes of a stage: killed at any moment, frozen, sent away and let back."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from tests.ledger.stage import SESSION_S

if TYPE_CHECKING:
    from random import Random

    from tests.ledger.sending import Moments
    from tests.ledger.stage import Member, Stage

WORK_S = 0.6
"""The longest that a process works on before a blow that waits for nothing."""
PATIENCE_S = 2.0
"""How long a blow waits for its moment."""
START = "start"
LATER = "later"
WOKEN = "woken"
PHASES = (START, START, "sending", "acknowledged", "delivering", "delivering", LATER)
"""When a kill comes: within a start, at a moment that others tell of, or any time later."""
STRUCK = {
    "sending": ("web", "worker"),
    "acknowledged": ("web", "worker"),
    "delivering": ("runner", "worker"),
}
"""Roles that are at work at a moment, or right behind it."""


@dataclass
class Blows:
    """What was done to a stage: kills by role and by phase, and the rest."""

    by_role: Counter[str] = field(default_factory=Counter)
    by_phase: Counter[str] = field(default_factory=Counter)
    zombies: int = 0
    departures: int = 0

    @property
    def kills(self) -> int:
        """How often a process was killed."""
        return self.by_role.total()

    @property
    def repeats(self) -> int:
        """How many repeats each sink may see."""
        return self.kills + self.zombies + self.departures


class Killer:
    """Strikes members of a stage at random; `start_s` is how long one takes to be ready.

    `over_s` is when it was done last, by the monotonic clock.
    """

    def __init__(self, stage: Stage, moments: Moments, random: Random, start_s: float) -> None:
        self.blows = Blows()
        self.over_s = monotonic()
        self._stage = stage
        self._moments = moments
        self._random = random
        self._start_s = start_s
        self._started: dict[str, float] = {}
        self._pause = threading.Event()

    def kill(self) -> None:
        """Kill one member at a moment of its own, and start it again."""
        phase = self._random.choice(PHASES)
        member = self._choose(phase)
        if not member.running:
            self._begin(member)
        self._await(phase, member)
        self._strike(member, phase)

    def freeze(self, role: str) -> None:
        """Let one member stand still until others have its work, then let it go on.

        The others are killed shortly after: what it wrote when it woke would show then.
        """
        member = self._random.choice(self._stage.of(role))
        if not member.running:
            self._begin(member)
        self._moments.await_next("delivering", 1, PATIENCE_S)
        member.freeze()
        self._pause.wait(SESSION_S + 2.0)
        self.blows.zombies += 1
        member.thaw()
        self._pause.wait(self._random.uniform(0, WORK_S))
        for other in self._stage.of(role):
            if other is not member and other.running:
                self._strike(other, WOKEN)

    def send_away(self, role: str) -> None:
        """Let one member leave in good order, and join again once the others work."""
        member = self._random.choice(self._stage.of(role))
        if member.running:
            member.leave()
        self._moments.await_next("delivering", 1, PATIENCE_S)
        self.blows.departures += 1
        self._begin(member)

    def _choose(self, phase: str) -> Member:
        """Return whom to strike: who is at work at that moment, or who has just begun a start."""
        if phase == START and self._started:
            newest = max(self._started, key=self._started.__getitem__)
            return next(one for one in self._stage.members if one.name == newest)
        at_work = {one.name for role in STRUCK.get(phase, ()) for one in self._stage.of(role)}
        chosen = [one for one in self._stage.members if one.name in at_work]
        return self._random.choice(chosen or self._stage.members)

    def _strike(self, member: Member, phase: str) -> None:
        assert member.running, f"{member.name} ended by itself:\n{member.tail()}"
        member.kill()
        self.blows.by_role[member.roles[0] if member.roles else "all"] += 1
        self.blows.by_phase[phase] += 1
        self._begin(member)
        self.over_s = monotonic()

    def _begin(self, member: Member) -> None:
        member.start()
        self._started[member.name] = monotonic()

    def _await(self, phase: str, member: Member) -> None:
        if phase == START:
            since = monotonic() - self._started.get(member.name, 0.0)
            self._pause.wait(max(0.0, self._random.uniform(0, self._start_s) - since))
        elif phase == LATER:
            self._pause.wait(self._start_s + self._random.uniform(0, WORK_S))
        else:
            self._moments.await_next(phase, self._random.randint(1, 3), PATIENCE_S)
