"""Answers that get lost: a commit is done, and who asked for it is not told."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine import failpoint
from engine.failpoint import Point
from engine.model.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def an_answer_lost(point: Point = Point.COMMIT, side: str = "after") -> Iterator[None]:
    """Let the first commit of this block be cut off, by default when it is done already."""

    def lose() -> None:
        raise StoreError("the connection was lost")

    with meanwhile(point, side, lose):
        yield


@contextmanager
def meanwhile(point: Point, side: str, act: Callable[[], None]) -> Iterator[None]:
    """Let `act` be done once in this block, when its first step `point` begins or ends."""
    due = [True]

    def hook(at: Point, when: str) -> None:
        if due and (at, when) == (point, side):
            due.clear()
            act()

    failpoint.arm(hook)
    try:
        yield
    finally:
        failpoint._hooks.remove(hook)
    assert not due, "the block never came to this point"
