"""Progress of one mission, until it ends."""

from collections.abc import Callable, Iterator
from typing import Any

from engine.app.opening import stored
from engine.model.errors import StoreError
from engine.model.instant import rfc3339, to_us
from engine.model.mission import MissionState
from engine.model.ports import SystemClock
from engine.store.store import Store

ENDED = {MissionState.DONE, MissionState.FAILED, MissionState.CANCELLED}


def watched(config: str, mission: str, pause: Callable[[], object]) -> Iterator[dict[str, Any]]:
    """Yield how `mission` and its changes stand, at first and each time that differs.

    Ends after the last one, with the mission done, failed or cancelled. `pause` is called
    between two looks.

    Raises:
        StoreError: there is no such mission, or the store did not answer.
    """
    before: dict[str, Any] | None = None
    with stored(config) as (store, _):
        while True:
            found = _looked(store, mission)
            if found != before:
                yield {"at": rfc3339(to_us(SystemClock().now())), **found}
            before = found
            if found["state"] in ENDED:
                return
            pause()


def progress_text(now: dict[str, Any]) -> str:
    """Return one step of the progress as a line for a person."""
    phase = f" phase {now['phase']}" if now["phase"] > 1 else ""
    outcome = f" ({now['outcome']})" if now["outcome"] else ""
    why = f": {now['reason']}" if now["reason"] else ""
    changes = "".join(f"; {one['title']}: {one['state']}" for one in now["changes"])
    return f"{now['at']}  {now['kind']} {now['state']}{outcome}{phase}{why}{changes}"


def _looked(store: Store, mission: str) -> dict[str, Any]:
    row = store.mission(mission)
    if row is None:
        raise StoreError(f"there is no mission '{mission}'; see `dogwatch mission list`")
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state.value,
        "outcome": row.outcome,
        "reason": row.reason,
        "phase": row.phase,
        "changes": [
            {
                "id": one.id,
                "title": one.draft.title,
                "state": one.state.value,
                "reason": one.reason,
                "digest": one.digest,
            }
            for one in store.changes(mission=mission, limit=1000)[::-1]
        ],
    }
