"""Answers that get lost: a commit is done, and who asked for it is not told."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine import failpoint
from engine.failpoint import Point
from engine.model.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def an_answer_lost(point: Point = Point.COMMIT, side: str = "after") -> Iterator[None]:
    """Let the first commit of this block be cut off, by default when it is done already."""
    due = [True]

    def hook(at: Point, when: str) -> None:
        if due and (at, when) == (point, side):
            due.clear()
            raise StoreError("the connection was lost")

    failpoint.arm(hook)
    try:
        yield
    finally:
        failpoint._hooks.remove(hook)
    assert not due, "nothing was cut off"
