"""What the template of a remedy would do here, and what must hold before that is safe."""

from collections.abc import Sequence

from engine.analysis.field import name_of
from engine.changes.owner import not_owned_elsewhere, owner_of
from engine.changes.templates import TEMPLATES, Edit, Unfit
from engine.missions.kinds.incident_response.remedy import Remedy, Target
from engine.model.config import Config
from engine.model.report import Precondition


def edits(target: Target, remedy: Remedy) -> list[Edit]:
    """Return what the remedy's template would write; nothing where only a person can do it."""
    if not remedy.template:
        return []
    template = TEMPLATES[remedy.template]
    try:
        return template.build(target.view, target.ref, _params(target, remedy), "")
    except Unfit:
        return []


def preconditions(target: Target, remedy: Remedy) -> list[Precondition]:
    """Return what must hold before the remedy is safe, as far as the snapshot tells."""
    view, ref = target.view, target.ref
    if remedy.template:
        template = TEMPLATES[remedy.template]
        return template.preconditions(view, ref, _params(target, remedy))
    found = view.find(ref)
    return [not_owned_elsewhere(view, ref)] if found and name_of(found) else []


def source_patch(target: Target, made: Sequence[Edit]) -> str:
    """Return the patch for the source of what a tool such as Argo CD keeps, empty for others."""
    for edit in made:
        obj = target.view.find(edit.ref)
        owner = owner_of(obj, edit.patch) if obj is not None else None
        if owner is not None and owner.patch:
            return f"# in the source, for {owner.tool}: {owner.in_source}"
    return ""


def _params(target: Target, remedy: Remedy) -> Config:
    return TEMPLATES[remedy.template].params.model_validate(remedy.params(target))
