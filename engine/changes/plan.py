"""Plan: from a draft and what was read to the Change that a decision names, without any I/O.

The order is outline -> operation_of each edit (dry-run by the server) -> propose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import ValidationError

from engine.analysis.cluster_view import ClusterView, key_of
from engine.analysis.field import mapping, name_of, namespace_of, text, whole
from engine.analysis.text import clean
from engine.changes.blast import blast
from engine.changes.diff import normalised, sentences, unified
from engine.changes.look import Look
from engine.changes.merge import apply_patch, touched
from engine.changes.templates import TEMPLATES, Edit, Template, Unfit
from engine.model.change import Change, Draft, Operation, Probe, Target, Verb
from engine.model.config import Config
from engine.model.errors import nearest
from engine.model.report import Precondition
from engine.model.snapshot import ClusterSnapshot, Object

WINDOW_S: Final = 600.0
_REMOVES: Final = frozenset({Verb.EVICT, Verb.DELETE})


@dataclass(frozen=True)
class Outline:
    """What a draft asks for here and now, before the server was asked."""

    draft: Draft
    template: Template
    params: Config
    edits: tuple[Edit, ...]
    preconditions: tuple[Precondition, ...]
    probes: tuple[Probe, ...]


@dataclass(frozen=True)
class Tried:
    """One edit with the object as it is, and as the dry run answered; None: it would be gone."""

    edit: Edit
    live: Mapping[str, Any]
    answer: Mapping[str, Any] | None


def outline(draft: Draft, view: ClusterView) -> Outline:
    """Return what `draft` comes to in the cluster of `view`.

    Raises:
        Unfit: there is no such template, the params are out of bounds, the target does not
            fit, or a precondition does not hold. One that could not be told does not refuse:
            it is shown to who decides.
    """
    template = _template(draft)
    params = _params(template, draft.params)
    edits = template.build(view, draft.target, params, draft.id)
    checks = template.preconditions(view, draft.target, params)
    if why := not_so(checks):
        raise Unfit(why)
    probes = _probes(template, draft, template.probes(view, draft.target, params), edits)
    return Outline(draft, template, params, tuple(edits), tuple(checks), tuple(probes))


def preconditions(draft: Draft, view: ClusterView) -> list[Precondition]:
    """Return what must hold before `draft` is done, and whether it does. Raises Unfit."""
    template = _template(draft)
    return template.preconditions(view, draft.target, _params(template, draft.params))


def not_so(checks: Sequence[Precondition]) -> str:
    """Return which of `checks` do not hold, and why, in words; empty where none is broken."""
    broken = [f"{one.name}: {one.why}" for one in checks if one.holds is False]
    return f"not so: {'; '.join(broken)}" if broken else ""


def _template(draft: Draft) -> Template:
    template = TEMPLATES.get(draft.template)
    if template is None:
        raise Unfit(
            f"unknown template '{clean(draft.template, 60)}'; known: {', '.join(TEMPLATES)}"
            f"{nearest(draft.template, TEMPLATES)}"
        )
    return template


def _params(template: Template, given: Mapping[str, Any]) -> Config:
    try:
        return template.params.model_validate(dict(given))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise Unfit(clean(f"{template.name}: {'; '.join(faults)}")) from error


def _probes(
    template: Template, draft: Draft, own: Sequence[Probe], edits: Sequence[Edit]
) -> list[Probe]:
    """The template's own, beside what is asked of every change."""
    stays = any(edit.verb not in _REMOVES for edit in edits)
    cured = template.cures and draft.findings
    return [
        *([Probe(name="equal")] if stays else []),
        *own,
        *([Probe(name="finding", args={"ids": sorted(draft.findings)})] if cured else []),
        Probe(name="no-new-critical"),
        Probe(name="no-new-warnings"),
    ]


def operation_of(edit: Edit, live: Mapping[str, Any], cluster_uid: str) -> Operation:
    """Return what is to be asked of the server for `edit`; before and after are not known yet."""
    target = Target(
        cluster=edit.ref.cluster,
        cluster_uid=cluster_uid,
        api_version=text(live, "apiVersion"),
        kind=text(live, "kind"),
        resource=edit.resource,
        namespace=namespace_of(live),
        name=name_of(live),
        uid=text(live, "metadata", "uid"),
    )
    return Operation(verb=edit.verb, target=target, patch=dict(edit.patch), wave=edit.wave)


def operation_tried(tried: Tried, cluster_uid: str) -> Operation:
    """Return the operation with exactly the fields that it changes, as the dry run answered."""
    operation = operation_of(tried.edit, tried.live, cluster_uid)
    then = outcome(tried)
    if then is None:
        return operation
    before, after = touched(normalised(tried.live), normalised(then))
    return operation.model_copy(update={"before": before, "after": after})


def outcome(tried: Tried) -> Mapping[str, Any] | None:
    """Return the whole object as it would be; None where it would be gone."""
    if tried.answer is None or text(tried.answer, "kind") != "Scale":
        return tried.answer
    wanted = whole(tried.answer, "spec", "replicas")
    return apply_patch(tried.live, {"spec": {"replicas": wanted}})


def undo_of(operation: Operation) -> Operation:
    """Return the operation that puts back exactly the fields that `operation` changes."""
    return operation.model_copy(
        update={
            "patch": operation.before,
            "before": operation.after,
            "after": operation.before,
            "wave": 0,
        }
    )


def replaced(view: ClusterView, tried: Sequence[Tried]) -> ClusterSnapshot:
    """Return the snapshot of `view` as it would be: each object as its dry run answered."""
    then = {key_of(one.live): outcome(one) for one in tried}
    objects: list[Object] = []
    for obj in view.snapshot.objects:
        answer = then.get(key_of(obj), obj)
        if answer is not None:
            objects.append(obj if answer is obj else _as_read(obj, answer))
    return replace(view.snapshot, objects=tuple(objects))


def _as_read(obj: Object, answer: Mapping[str, Any]) -> Object:
    """A dry run does not let controllers act: the status stays as it was read."""
    metadata = {k: v for k, v in mapping(answer, "metadata").items() if k != "managedFields"}
    kept = {"status": obj["status"]} if "status" in obj else {}
    return {**answer, "metadata": metadata, **kept}


def propose(  # noqa: PLR0913 - each is one thing that was read
    plan: Outline,
    tried: Sequence[Tried],
    look: Look,
    *,
    cluster_uid: str,
    foreseen: Look | None = None,
    window_s: float = WINDOW_S,
) -> Change:
    """Assemble the change that people decide on.

    Args:
        plan: of the draft.
        tried: each of its edits with the server's answer, in order.
        look: the assessment that the plan was made from.
        cluster_uid: uid of kube-system.
        foreseen: the same assessment of `replaced`, None where it could not be made.
        window_s: how long the probes are watched, seconds.

    Raises:
        Unfit: it would change nothing, or bring about a new critical finding.
    """
    operations = [operation_tried(one, cluster_uid) for one in tried]
    if not any(one.before or one.after or one.verb in _REMOVES for one in operations):
        raise Unfit("the server's dry run changes nothing: it is so already")
    template = plan.template
    undone = [undo_of(one) for one in reversed(operations) if one.before or one.after]
    return Change(
        draft=plan.draft,
        risk=template.risk,
        reversible=template.reversible,
        why_reversible=template.why_reversible,
        operations=operations,
        preconditions=list(plan.preconditions),
        probes=list(plan.probes),
        window_s=window_s,
        rollback=undone if template.reversible != "no" else [],
        diff="".join(_diff(one) for one in tried),
        lines=_lines(tried),
        blast=blast(look.view, plan.edits),
        notes=[*_unsure(plan.preconditions), *_foreseen(plan, look, foreseen)],
        critical=sorted(look.critical),
    )


def _diff(tried: Tried) -> str:
    then = outcome(tried)
    return unified(tried.live, then, str(tried.edit.ref)) if then is not None else ""


def _lines(tried: Sequence[Tried]) -> list[str]:
    """One object is not named in each sentence, several are."""
    told: list[str] = []
    for one in tried:
        then, ref = outcome(one), clean(str(one.edit.ref))
        if then is None:
            told.append(f"{ref} is evicted" if one.edit.verb is Verb.EVICT else f"{ref} is deleted")
        else:
            lead = f"{ref}: " if len(tried) > 1 else ""
            told += [f"{lead}{sentence}" for sentence in sentences(one.live, then)]
    return told


def _unsure(checks: Sequence[Precondition]) -> list[str]:
    return [f"could not be told: {one.name} ({one.why})" for one in checks if one.holds is None]


def _foreseen(plan: Outline, look: Look, foreseen: Look | None) -> list[str]:
    """Say what the mission's own check tells of the cluster as it would be.

    What it judges by the status of pods cannot change before controllers acted: then it is
    not known whether a finding would be gone, and the verification has to tell.
    """
    if foreseen is None:
        return ["whether the findings would be gone was not checked"]
    new = foreseen.critical - look.critical
    if new:
        raise Unfit(f"it would bring about what is critical: {', '.join(sorted(new))}")
    wanted = frozenset(plan.draft.findings) if plan.template.cures else frozenset()
    gone = wanted & look.findings - foreseen.findings
    unsure = sorted(wanted & foreseen.findings)
    fresh = sorted(foreseen.findings - look.findings)
    return [
        *([f"{len(gone)} of {len(wanted)} findings would be gone at once"] if gone else []),
        *(
            [f"whether {', '.join(unsure)} would be gone is known only once it is done"]
            if unsure
            else []
        ),
        *([f"new findings, none critical: {', '.join(fresh)}"] if fresh else []),
        *([] if foreseen.assessed else [f"not everything could be assessed: {foreseen.why}"]),
    ]
