"""One change as the pages and the verbs show it: nothing raw, and who may decide it."""

from collections.abc import Sequence

from engine.changes.policy import Policy, User, may_decide, needed
from engine.changes.record import applied, checks
from engine.model.change import Change, Operation
from engine.model.change_row import ChangeRow, Entry, Step, Verdict, Written
from engine.model.report import Report
from engine.report.words import PROBES
from engine.web.views import (
    Asking,
    ChangeLine,
    ChangeView,
    WorkedOut,
    WriteLine,
    WrittenLine,
)

UNKNOWN = "nobody is logged in"


def change_line(row: ChangeRow) -> ChangeLine:
    """Return one change in a list."""
    approved = [one.who for one in row.decisions if one.verdict is Verdict.APPROVE]
    return ChangeLine(
        id=row.id,
        mission=row.mission,
        title=row.draft.title,
        template=row.draft.template,
        state=row.state.value,
        reason=row.reason,
        risk=row.change.risk.value if row.change else "",
        cluster=row.draft.target.cluster,
        target=str(row.draft.target),
        created=row.created,
        changed=row.changed,
        expires=row.expires,
        digest=row.digest,
        decided=list(dict.fromkeys(approved)),
    )


def change_view(
    row: ChangeRow,
    report: Report | None,
    audit: Sequence[Entry],
    *,
    policy: Policy | None,
    user: User | None,
) -> ChangeView:
    """Return one change whole.

    Args:
        row: the change.
        report: of its mission, for the findings.
        audit: its entries, oldest first.
        policy: in force, None where none is.
        user: who looks.
    """
    wanted = set(row.draft.findings)
    return ChangeView(
        **change_line(row).model_dump(),
        params=row.draft.params,
        work=_worked_out(row.change) if row.change else None,
        kind=row.draft.kind,
        rule=row.rule,
        requester=row.requester,
        mode=row.mode,
        why=row.draft.why,
        findings=[one for one in (report.findings if report else ()) if one.id in wanted],
        asking=_asking(policy, row, user) if policy else None,
        decisions=list(row.decisions),
        results=list(checks(row)),
        written=[_written(row, one) for one in row.written],
        objects=applied(row).objects,
        audit=list(audit)[::-1],
    )


def _worked_out(change: Change) -> WorkedOut:
    return WorkedOut(
        reversible=change.reversible,
        why_reversible=change.why_reversible,
        writes=[_write(one) for one in change.operations],
        rollback=[_write(one) for one in reversed(change.rollback)],
        preconditions=change.preconditions,
        probes=[PROBES.get(one.name, one.name) for one in change.probes],
        window_s=change.window_s,
        diff=change.diff,
        lines=change.lines,
        blast=change.blast,
        notes=change.notes,
    )


def _write(operation: Operation) -> WriteLine:
    target = operation.target.ref
    return WriteLine(verb=operation.verb.value, object=str(target), wave=operation.wave)


def _written(row: ChangeRow, one: Written) -> WrittenLine:
    change = row.change
    done = (change.operations if one.step is Step.DO else change.rollback) if change else ()
    known = one.number < len(done)
    return WrittenLine(
        step=one.step.value,
        number=one.number,
        object=str(done[one.number].target.ref) if known else "",
        at=one.at,
        ended=one.ended,
        outcome=one.outcome,
    )


def _asking(policy: Policy, row: ChangeRow, user: User | None) -> Asking:
    wanted = needed(policy, row)

    def refusal(verdict: Verdict) -> str:
        return UNKNOWN if user is None else may_decide(policy, user, row, verdict)

    return Asking(
        people=wanted.people,
        groups=list(wanted.groups),
        typed=wanted.typed,
        no_approval=refusal(Verdict.APPROVE),
        no_denial=refusal(Verdict.DENY),
    )
