"""Failpoints: named places at which a test makes a process die, fail or stand still.

Nothing here reads the environment: only a harness that starts dogwatch itself can `arm` them.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import StrEnum


class Point(StrEnum):
    """A step whose being cut off must lose nothing and double nothing."""

    SIGNAL_READ = "signal-read"
    SIGNAL_PRODUCED = "signal-produced"
    RECORD_FETCHED = "record-fetched"
    RECORD_DECODED = "record-decoded"
    RECORD_QUARANTINED = "record-quarantined"
    TIMER_FIRED = "timer-fired"
    CHECKPOINT_WRITTEN = "checkpoint-written"
    FIRING_STORED = "firing-stored"
    MISSION_ROW = "mission-row"
    OUTBOX_ROW = "outbox-row"
    COMMIT = "commit"
    CONDITIONS_PUBLISHED = "conditions-published"
    LEASE_TAKEN = "lease-taken"
    LEASE_RENEWED = "lease-renewed"
    LEASE_LOST = "lease-lost"
    STEP_STARTED = "step-started"
    STEP_JOURNALED = "step-journaled"
    SINK_ATTEMPT = "sink-attempt"
    SINK_MARKED = "sink-marked"
    DEAD_LETTERED = "dead-lettered"
    RULES_SWAPPED = "rules-swapped"
    CHANGE_PROPOSED = "change-proposed"
    DRY_RUN_DONE = "dry-run-done"
    APPROVAL_ASKED = "approval-asked"
    APPROVAL_RECEIVED = "approval-received"
    LOCK_TAKEN = "lock-taken"
    PRE_IMAGE_STORED = "pre-image-stored"
    OBJECT_APPLIED = "object-applied"
    VERIFY_DECIDED = "verify-decided"
    OBJECT_ROLLED_BACK = "object-rolled-back"
    MODEL_ASKED = "model-asked"
    MIGRATION_STEP = "migration-step"


Hook = Callable[[Point, str], None]
"""Called with the point and "before" or "after"; it may raise, wait, or end the process."""

_IDLE: AbstractContextManager[None] = nullcontext()
_hooks: list[Hook] = []


def arm(hook: Hook) -> None:
    """Let `hook` decide at every failpoint of this process from now on."""
    _hooks.append(hook)


def around(point: Point) -> AbstractContextManager[None]:
    """Return a context for the step `point`; the hook is asked before it and, if it ends, after."""
    return _asked(point) if _hooks else _IDLE


@contextmanager
def _asked(point: Point) -> Iterator[None]:
    for hook in _hooks:
        hook(point, "before")
    yield
    for hook in _hooks:
        hook(point, "after")
