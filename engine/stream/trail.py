"""Trail: the moves of one hold since the cluster's mark, told and not yet told.

What is told can not be taken back. A pending or firing that a signal caused is told at once,
everything else when stream time has passed it, and nothing before what came before it.
"""

from dataclasses import replace
from typing import Final

import msgspec

from engine.model.firing import State, Transition
from engine.stream.hold import REST, Event, Held, move
from engine.stream.reasons import Reason

_AT_ONCE: Final = frozenset({State.PENDING, State.FIRING})


class Entry(msgspec.Struct, array_like=True):
    """One move of the hold: what it led to, and what is told of it (nothing: None).

    `nodes` are those of the members; `prompt`: a signal caused it; `told`: it was given out;
    `merged`: instant of a later move, told early, that stands for this one as well; -1: none.
    """

    at: int
    held: Held
    transition: Transition | None
    nodes: frozenset[str] = frozenset()
    prompt: bool = False
    told: bool = False
    merged: int = -1

    def waits(self) -> bool:
        """Whether there is something in it that must still be told."""
        return self.transition is not None and not self.told and self.merged < 0


class Trail:
    """Moves in order of time, after the hold `base`; `early` are told ones of a refold."""

    __slots__ = ("base", "early", "entries")

    def __init__(self, base: Held = REST, entries: list[Entry] | None = None) -> None:
        self.base = base
        self.entries: list[Entry] = [] if entries is None else entries
        self.early: dict[int, list[Entry]] = {}

    def tell(self, limit: int) -> list[Entry]:
        """Return the moves that may be told once stream time is `limit`, and were not."""
        found: list[Entry] = []
        for entry in self.entries:
            if entry.transition is None or not entry.waits():
                continue
            if entry.at >= limit and not (entry.prompt and entry.transition.state in _AT_ONCE):
                break
            entry.told = True
            found.append(entry)
        return found

    def last_told(self) -> Entry | None:
        """Return the last move that was told: a later one may have been told before it."""
        told = (one for one in reversed(self.entries) if one.told and one.transition is not None)
        return next(told, None)

    def next_untold(self) -> int | None:
        """Return the instant of the first move that waits to be told."""
        return next((one.at for one in self.entries if one.waits()), None)

    def restore(self, at: int) -> Held:
        """Drop the moves from `at` on, told ones into `early`; return the hold before it."""
        count = next((i for i, one in enumerate(self.entries) if one.at >= at), len(self.entries))
        for entry in self.entries[count:]:
            if entry.told:
                self.early.setdefault(entry.at, []).append(entry)
        del self.entries[count:]
        for entry in self.entries:
            if entry.merged >= at:
                entry.merged = -1
        return self.entries[-1].held if self.entries else self.base

    def forget(self, mark: int) -> None:
        """Let the base take in the moves that are final and told."""
        count = 0
        for entry in self.entries:
            if entry.at >= mark or entry.merged >= mark or entry.waits():
                break
            self.base = entry.held
            count += 1
        del self.entries[:count]

    def merge(self, early: Entry) -> None:
        """Let `early` stand for the untold move of its state that began what is open now."""
        for entry in reversed(self.entries):
            if entry.transition is not None and entry.merged < 0:
                same = early.transition is not None and (
                    entry.transition.state is early.transition.state
                )
                if same and not entry.told:
                    entry.merged = early.at
                return

    def keep(self, early: Entry, held: Held) -> Held:
        """Put a move that was told early back, leading to `held`; return `held`."""
        self.entries.append(msgspec.structs.replace(early, held=held))
        return held


def opens(entry: Entry) -> bool:
    """Whether the move opened something that must end."""
    return entry.transition is not None and entry.transition.state in _AT_ONCE


def ended(opened: Entry, at: int, reason: Reason) -> Transition:
    """Return the end of what was told as open, as its rule ends at `at` for `reason`."""
    phase = move(opened.held.phase, Event.ENDS)
    told = opened.transition
    if told is None:
        raise ValueError("nothing was told of this move")
    state = State.RESOLVED if told.state is State.FIRING else State(phase.value)
    return replace(told, at=max(at, told.at), state=state, reason=reason.value, cause="")
