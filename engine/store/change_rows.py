"""Rows of changes: how they are written, read, and when the writer has to look at them."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, Row, Select, select

from engine.model.change import Change, Draft, ProbeResult
from engine.model.change_row import ChangeRow, Decision, Step, Verdict, Written
from engine.model.change_state import ChangeState
from engine.model.errors import StoreError
from engine.model.ids import canonical
from engine.model.instant import from_us, to_us
from engine.model.report import ObjectRef
from engine.store.change_tables import changes, decisions, writes
from engine.store.unreadable import UNREADABLE, unread

FINAL = [state.value for state in ChangeState if state.final]
settled = changes.c.state.in_(FINAL) | (
    (changes.c.mode == "plan") & (changes.c.state == ChangeState.PROPOSED.value)
)
"""The same as ChangeRow.settled."""
LONGEST: Final = timedelta(hours=1)
"""The longest pause between two looks at a change that waits for no person and no window."""
_UNDER_WAY: Final = [
    ChangeState.DRAFT.value,
    ChangeState.PRECHECKING.value,
    ChangeState.DRY_RUN_OK.value,
    ChangeState.APPLYING.value,
    ChangeState.VERIFYING.value,
    ChangeState.VERIFY_FAILED.value,
    ChangeState.ROLLING_BACK.value,
]
_results: TypeAdapter[tuple[ProbeResult, ...]] = TypeAdapter(tuple[ProbeResult, ...])


def new_values(row: ChangeRow, phase: int) -> dict[str, Any]:
    """Return the columns of a draft of the mission's `phase`."""
    target = row.draft.target
    return {
        "id": row.id,
        "mission": row.mission,
        "phase": phase,
        "rule": row.rule,
        "firing": row.firing,
        "cluster": target.cluster,
        "object": object_of(target),
        "template": row.draft.template,
        "draft": row.draft.model_dump_json(),
        "digest": "",
        "state": ChangeState.DRAFT.value,
        "reason": row.reason,
        "actor": row.actor,
        "mode": row.mode,
        "approval": row.approval,
        "sinks": list(row.sinks),
        "requester": row.requester,
        "results": "[]",
        "created_at": to_us(row.created),
        "next_at": optional_us(row.next_at),
        "due_at": optional_us(row.next_at) or 0,
    }


def object_of(target: ObjectRef) -> str:
    """Return what a change and the next one of the same object have in common, made anew or not."""
    return f"{target.cluster}/{target.namespace}/{target.kind}/{target.name}"


def due_at(row: Mapping[str, Any]) -> int | None:
    """Return when the writer looks at a change next, in microseconds; None where it need not.

    One that is planned only is looked at when it expires; 0 stands for: at once.
    """
    state = ChangeState(row["state"])
    if state.final:
        return None
    planned = row["mode"] == "plan" and state is ChangeState.PROPOSED
    at: int | None = row["expires_at"] if planned else row["next_at"] or 0
    return at


def ahead(now: datetime) -> ColumnElement[bool]:
    """Whether the clock was set back since a change was looked at: it lies in the future."""
    late = changes.c.due_at > to_us(now + LONGEST)
    return (changes.c.changed_at > to_us(now)) | (late & changes.c.state.in_(_UNDER_WAY))


def results_text(results: Sequence[ProbeResult]) -> str:
    """Return `results` as the table keeps them."""
    return _results.dump_json(tuple(results)).decode()


def json_text(value: Mapping[str, Any] | None) -> str | None:
    """Return an object as text, None as None."""
    return None if value is None else canonical(dict(value)).decode()


def change_rows(connection: Connection, query: Select[Any]) -> list[ChangeRow]:
    """Return the changes that `query` finds, each with its decisions and writes, in order.

    One that can not be read is there with what its columns say; its reason says so.
    """
    found = _read(connection, query)
    return [_said(row, said) if isinstance(said, str) else said for row, said in found]


def sound_rows(connection: Connection, query: Select[Any]) -> list[ChangeRow]:
    """Return the same without those that can not be read: nobody works on them."""
    return [said for _, said in _read(connection, query) if not isinstance(said, str)]


def the_change(connection: Connection, change: str) -> ChangeRow:
    """Return the change `change`, which is there. Raises StoreError where it can not be read."""
    ((_, said),) = _read(connection, select(changes).where(changes.c.id == change))
    if isinstance(said, str):
        raise StoreError(f"change {change}: {said}")
    return said


def _read(connection: Connection, query: Select[Any]) -> list[tuple[Row[Any], ChangeRow | str]]:
    """Return each row that `query` finds, with its change, or why it can not be read."""
    rows = connection.execute(query).all()
    ids = [row.id for row in rows]
    decided: dict[str, list[Row[Any]]] = {one: [] for one in ids}
    written: dict[str, list[Row[Any]]] = {one: [] for one in ids}
    votes = select(decisions).where(decisions.c.change.in_(ids)).order_by(decisions.c.seq)
    done = select(writes).where(writes.c.change.in_(ids)).order_by(writes.c.seq)
    for vote in connection.execute(votes) if ids else ():
        decided[vote.change].append(vote)
    for write in connection.execute(done) if ids else ():
        written[write.change].append(write)
    return [(row, _one(row, decided[row.id], written[row.id])) for row in rows]


def _one(
    row: Row[Any], decided: Sequence[Row[Any]], written: Sequence[Row[Any]]
) -> ChangeRow | str:
    try:
        return _change(row, tuple(map(_decision, decided)), tuple(map(_written, written)))
    except UNREADABLE as error:
        return unread("change", row.id, error)


def _said(row: Row[Any], why: str) -> ChangeRow:
    """Return what the columns of `row` say, which can not be read for the reason `why`.

    One whose state is none needs a person.
    """
    known = row.state in {state.value for state in ChangeState}
    _, namespace, kind, name = (*row.object.split("/", 3), "", "", "")[:4]
    target = ObjectRef(cluster=row.cluster, kind=kind, namespace=namespace, name=name)
    title = f"change {row.id}, which can not be read"
    return ChangeRow(
        id=row.id,
        mission=row.mission,
        draft=Draft(id=row.id, template=row.template, target=target, title=title, kind=""),
        created=from_us(row.created_at),
        phase=row.phase,
        rule=row.rule,
        firing=row.firing,
        digest=row.digest,
        state=ChangeState(row.state) if known else ChangeState.NEEDS_HUMAN,
        reason=why,
        actor=row.actor,
        mode=row.mode,
        approval=row.approval,
        sinks=tuple(row.sinks),
        requester=row.requester,
        expires=_optional(row.expires_at),
        changed=_optional(row.changed_at),
    )


def optional_us(at: datetime | None) -> int | None:
    """Return `at` in microseconds since 1970, None as None."""
    return None if at is None else to_us(at)


def _optional(at: int | None) -> datetime | None:
    return None if at is None else from_us(at)


def _change(
    row: Row[Any], decided: tuple[Decision, ...], written: tuple[Written, ...]
) -> ChangeRow:
    return ChangeRow(
        id=row.id,
        mission=row.mission,
        draft=Draft.model_validate_json(row.draft),
        created=from_us(row.created_at),
        phase=row.phase,
        rule=row.rule,
        firing=row.firing,
        change=None if row.body is None else Change.model_validate_json(row.body),
        digest=row.digest,
        state=ChangeState(row.state),
        reason=row.reason,
        actor=row.actor,
        mode=row.mode,
        approval=row.approval,
        sinks=tuple(row.sinks),
        requester=row.requester,
        expires=_optional(row.expires_at),
        next_at=_optional(row.next_at),
        changed=_optional(row.changed_at),
        verify_from=_optional(row.verify_from),
        results=_results.validate_json(row.results),
        decisions=decided,
        written=written,
    )


def _decision(row: Row[Any]) -> Decision:
    return Decision(
        change=row.change,
        digest=row.digest,
        who=row.who,
        verdict=Verdict(row.verdict),
        via=row.via,
        at=from_us(row.at),
        typed=row.typed,
        comment=row.comment,
    )


def _written(row: Row[Any]) -> Written:
    return Written(
        step=Step(row.step),
        number=row.number,
        version=row.version,
        before=json.loads(row.before),
        at=from_us(row.at),
        outcome=row.outcome,
        after=None if row.after is None else json.loads(row.after),
        ended=_optional(row.ended_at),
    )
