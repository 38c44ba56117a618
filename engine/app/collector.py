"""The garbage collector: what it is spared."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_YOUNG: Final = 50_000
"""New containers before it looks at them: a record of signals makes thousands, and frees them."""


def collect_rarely() -> None:
    """Let the collector look less often than it does by itself: starting would wake it often.

    Signals and the state of keys hold no cycles: they go when nobody refers to them any more.
    """
    gc.set_threshold(_YOUNG, 20, 20)


def settle_memory() -> None:
    """Spare the collector what is there now and stays, such as rules."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@contextmanager
def growing() -> Iterator[None]:
    """Spare the collector much that is made at once and stays: the state of a checkpoint."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
