"""What else is written when a change moves from one state to the next, and who is told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from engine.model.change import Change, ProbeResult
from engine.model.change_row import ChangeRow
from engine.model.delivery import Delivery

Tell: TypeAlias = Callable[[ChangeRow], Sequence[Delivery]]
"""Who is told of a change as it stands."""


def nobody(_: ChangeRow) -> Sequence[Delivery]:
    """Tell nobody of a change."""
    return ()


@dataclass(frozen=True)
class Moved:
    """What is written together with a move, in one transaction; None leaves what is there.

    Attributes:
        actor: who moved it: `writer`, or the name of a user.
        reason: why, in words.
        next_at: when the writer looks at it again; None: at once, or never once it is final.
        change: the body, whose digest is set with it.
        expires: when a decision comes too late.
        verify_from: when the verification of what was written began.
        results: of the probes.
        deliveries: whom to tell; one with a key that is known already is left out.
    """

    actor: str = "writer"
    reason: str = ""
    next_at: datetime | None = None
    change: Change | None = None
    expires: datetime | None = None
    verify_from: datetime | None = None
    results: tuple[ProbeResult, ...] | None = None
    deliveries: Sequence[Delivery] = ()
