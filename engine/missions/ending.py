"""How a leg ends: its report with the phase, what became of the changes, and what is next. Pure."""

from collections.abc import Sequence
from typing import Final

from engine.changes.record import applied, begun
from engine.model.change import Draft
from engine.model.change_row import ChangeRow
from engine.model.change_state import ChangeState
from engine.model.mission import MissionRow
from engine.model.report import NextMission, Outcome, Report

_INCIDENTS: Final = frozenset({"incident-response", "app-correlate"})
"""Kinds of which an end that is verified is worth a post-mortem."""


def ended(
    found: Report,
    mission: MissionRow,
    rows: Sequence[ChangeRow],
    proposed: Sequence[Draft] = (),
    barred: Sequence[str] = (),
) -> Report:
    """Return `found` as the report of a leg of `mission`.

    It is `unverified` unless the last change of each object that was written to is verified.

    Args:
        found: what the leg found.
        mission: the mission, at the phase of the leg.
        rows: the changes of the legs before.
        proposed: what this leg waits for; none: the mission ends.
        barred: clusters where something could be done, if changes could be made there.
    """
    last = {_object(row): row for row in sorted(rows, key=lambda row: (row.phase, row.id))}
    written = [row for row in last.values() if begun(row)]
    verified = all(row.state is ChangeState.VERIFIED for row in written)
    outcome = found.outcome if verified or found.outcome is Outcome.FAILED else Outcome.UNVERIFIED
    over = bool(written) and verified and not proposed and _gone(found, written)
    return found.model_copy(
        update={
            "outcome": outcome,
            "summary": " ".join(
                [found.summary, *_told(mission, proposed), *_barred(barred), *_became(rows)]
            ),
            "applied": [applied(row) for row in rows],
            "next": _next(found, mission) if over else found.next,
            "total_phases": mission.phase + bool(proposed),
            "resumable": bool(proposed),
            "checkpoint": {"changes": [one.id for one in proposed]} if proposed else {},
        }
    )


def _object(row: ChangeRow) -> tuple[str, str, str, str]:
    target = row.draft.target
    return target.cluster, target.kind, target.namespace, target.name


def _gone(found: Report, written: Sequence[ChangeRow]) -> bool:
    """Whether all was assessed, and nothing is left of what the changes were to remove."""
    failing = {one.id for one in found.findings if one.status == "fail"}
    meant = {finding for row in written for finding in row.draft.findings}
    return found.outcome in {Outcome.OK, Outcome.FINDINGS} and not failing & meant


def _told(mission: MissionRow, proposed: Sequence[Draft]) -> list[str]:
    if not proposed:
        return []
    titles = "; ".join(one.title for one in proposed)
    many = "A change is" if len(proposed) == 1 else f"{len(proposed)} changes are"
    waits = "it waits for approval" if mission.mode == "apply" else "nobody is asked to approve it"
    return [f"{many} proposed, {waits}: {titles}."]


def _barred(clusters: Sequence[str]) -> list[str]:
    if not clusters:
        return []
    names = ", ".join(clusters)
    return [f"Nothing can be changed in {names}: no writer of it, or no policy, is configured."]


def _became(rows: Sequence[ChangeRow]) -> list[str]:
    """Return one sentence on what became of all changes, none where there were none."""
    if not rows:
        return []
    told = "; ".join(f"{row.draft.title}: {row.state.value}" for row in rows)
    return [f"Changes: {told}."]


def _next(found: Report, mission: MissionRow) -> list[NextMission]:
    others = [one for one in found.next if one.kind != "post-mortem"]
    if mission.kind not in _INCIDENTS:
        return others
    reason = "the incident is over, and what was changed is verified: write down what happened"
    params = {"mission": mission.id, "firing": mission.firing}
    return [NextMission(kind="post-mortem", reason=reason, params=params), *others]
