"""Sample: what one signal says to one rule and key; the last seen is remembered for undo.

Samples are many and hold no cycles, so the garbage collector need not visit them (`gc=False`).
"""

from typing import Any, Final

import msgspec

from engine.model.signal import Signal

NAMES_SHOWN: Final = 20
"""Members named in a transition; their number is told whole."""


class Sample(msgspec.Struct, array_like=True, gc=False):
    """One signal as one key of a rule sees it, evaluated once.

    Attributes:
        at: event time, microseconds since 1970.
        series: object or series that it is about; empty for an occurrence without one.
        name: what a person calls it.
        node: its node where known.
        cause: id of the signal.
        met: a level or occurrence for which the rule's condition is true; None: an error.
        cleared: the rule's `clear` is true of it (always, for a rule without one).
        gone: the object was deleted.
        value: what is shown: the signal's `value`, if it has one.
        raws: for each measure the value taken from the signal, or None.
        growing: counts grow with the raw value (Events), not by one.
        counted: it is in the window; false for one that is only heard, or ends a series.
        given: for each measure what it contributed, once it is folded.
        before: what the fold of it replaced, so that it can be undone.
        heard: a signal of this key; false for one that tells that its object has left.
        mortal: its object can be deleted.
        signal: what is asked again later, for levels of rules with `reevaluate`.
        depth: how many missions and changes of dogwatch lie on the way to it.
    """

    at: int
    series: str
    name: str = ""
    node: str = ""
    cause: str = ""
    met: bool | None = True
    cleared: bool = True
    gone: bool = False
    value: Any = None
    raws: tuple[Any, ...] = ()
    growing: bool = False
    counted: bool = True
    given: tuple[Any, ...] = ()
    before: Any = None
    heard: bool = True
    mortal: bool = False
    signal: Signal | None = None
    depth: int = 0


class Shown(msgspec.Struct, frozen=True):
    """What a transition tells about its condition, at one instant."""

    value: dict[str, Any]
    members: tuple[str, ...] = ()
    member_count: int = 0
    nodes: frozenset[str] = frozenset()
    node: str = ""
