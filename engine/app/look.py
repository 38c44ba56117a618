"""What the verbs show of the store: missions, paths, dead letters."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from engine.app.one_mission import rendered
from engine.app.opening import stored
from engine.missions.registry import kinds
from engine.model.errors import DogwatchError, StoreError, nearest
from engine.model.instant import rfc3339, to_us
from engine.model.mission import MissionRow, MissionState
from engine.report.clean import clean
from engine.store.store import Store
from engine.store.trace import Record


def missions(
    config: str, *, kind: str | None, state: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return the newest missions as plain rows."""
    states = list(MissionState)
    if state is not None and state not in states:
        raise DogwatchError(
            f"unknown state '{state}'; known: {', '.join(states)}{nearest(state, states)}"
        )
    wanted = [MissionState(state)] if state else []
    with stored(config) as (store, _):
        return [_row(row) for row in store.missions(states=wanted, kind=kind or "", limit=limit)]


def mission_report(config: str, mission: str, form: str, *, colour: bool) -> str:
    """Return the report of `mission` in `form`, or its state in a sentence while it has none.

    Raises:
        StoreError: there is no such mission.
    """
    with stored(config) as (store, _):
        row = store.mission(mission)
    if row is None:
        raise StoreError(f"there is no mission '{mission}'; see `dogwatch mission list`")
    if row.report is not None:
        return rendered(row.report, form, colour=colour)
    why = f": {row.reason}" if row.reason else ""
    return f"{row.id}: {row.kind} is {row.state}{why}; it has no report"


def mission_kinds() -> list[dict[str, Any]]:
    """Return every mission kind as a plain row."""
    return [
        {
            "kind": kind.name,
            "type": kind.type,
            "summary": kind.summary,
            "params": list(kind.params.model_fields),
            "reads": list(kind.needs),
        }
        for kind in kinds().values()
    ]


def path_of(config: str, wanted: str) -> list[dict[str, Any]]:
    """Return the path that the id `wanted` lies on, causes first.

    Raises:
        StoreError: nothing has this id.
    """
    with stored(config) as (store, _):
        path = store.trace(wanted)
    if not path:
        raise StoreError(
            f"nothing has the id '{wanted}'; ids of firings start with f-, of missions with m-, "
            "of changes with c-, of deliveries with d-, of findings with x-; a signal is kept "
            "once something fired"
        )
    return [station(one) for one in path]


def path_text(path: Sequence[dict[str, Any]]) -> str:
    """Return a path as lines for a person, what was caused indented below its cause."""
    return "\n".join(
        f"{one['at']}  {'  ' * level}{one['noun']:<10} {said(one)}".rstrip()
        for level, one in levels(path)
    )


def levels(path: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the stations of a path, each with how many causes lie before it."""
    depth: dict[str, int] = {}
    for one in path:
        level = depth.get(one["parent"], -1) + 1 if one["parent"] else 0
        depth.setdefault(one["id"], level)
        yield level, one


def dead_letters(config: str, limit: int) -> list[dict[str, Any]]:
    """Return the newest deliveries that were given up."""
    with stored(config) as (store, _):
        return [
            {
                "key": row.delivery.key,
                "sink": row.delivery.sink,
                "change": row.delivery.change.value,
                "title": row.delivery.title,
                "reason": row.error,
                "attempts": row.attempts,
                "given_up": row.ended,
            }
            for row in store.dead_letters(limit)
        ]


def replay_dead(config: str, keys: Sequence[str]) -> int:
    """Let dead letters wait again; return how many."""
    return _each(config, keys, Store.replay)


def drop_dead(config: str, keys: Sequence[str]) -> int:
    """Forget dead letters; return how many."""
    return _each(config, keys, Store.drop)


def _each(config: str, keys: Sequence[str], act: Callable[[Store, str], None]) -> int:
    """Do `act` to each of `keys`, whatever is wrong with the others; return to how many.

    Raises:
        DogwatchError: names what could not be done, and says how many were.
    """
    faults = []
    with stored(config) as (store, _):
        for key in keys:
            try:
                act(store, key)
            except DogwatchError as error:
                faults.append(str(error))
    if faults:
        done = len(keys) - len(faults)
        raise DogwatchError("; ".join([*faults, f"done to {done} of {len(keys)}"]))
    return len(keys)


def _row(row: MissionRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state.value,
        "outcome": row.outcome,
        "rule": row.rule,
        "firing": row.firing,
        "key": dict(row.key),
        "clusters": list(row.clusters),
        "params": dict(row.params),
        "crashes": row.crashes,
        "created": row.created,
        "started": row.started,
        "finished": row.finished,
        "summary": row.report.summary if row.report else row.reason,
    }


def station(one: Record) -> dict[str, Any]:
    """Return one station of a path as a plain row."""
    return {
        "noun": one.noun,
        "id": one.id,
        "parent": one.parent,
        "at": rfc3339(to_us(one.at)),
        "what": dict(one.what),
    }


def said(one: dict[str, Any]) -> str:
    """Return the words for one station of a path."""
    what = one["what"]
    key = ", ".join(f"{k}={v}" for k, v in (what.get("key") or {}).items())
    says: dict[str, Callable[[], str]] = {
        "signal": lambda: f"{what['type']} of {what.get('subject') or what['source']}",
        "firing": lambda: f"{one['id']} {what['rule']} {{{key}}} is {what['state']}",
        "transition": lambda: f"{what['state']} ({what['reason']})",
        "mission": lambda: f"{one['id']} {what['kind']} is {what['state']} {what['outcome']}",
        "step": lambda: f"{what['step']}",
        "report": lambda: f"{what['outcome']}: {what['summary']}",
        "change": lambda: f"{one['id']} {what['title']}: {what['state']} {what['reason']}",
        "decision": lambda: f"{what['verdict']} by {what['who']} ({what['via']}) {what['comment']}",
        "write": lambda: f"{what['step']}: {what['outcome'] or 'begun, no outcome yet'}",
        "audit": lambda: (
            f"{what['seq']}: {what['frm'] or 'new'} -> {what['to']} by {what['actor']} "
            f"{what['reason']}"
        ),
        "delivery": lambda: (
            f"{one['id']} {what['change']} to {what['sink']}: {what['state']} "
            f"{what['detail'] or what['error']}"
        ),
    }
    return clean(says[one["noun"]]())
