"""Template: one kind of change with bounded params, from which exact edits are made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.resource import RESOURCE_OF
from engine.model.change import Probe, Reversible, Risk, Verb
from engine.model.config import Config
from engine.model.errors import DogwatchError
from engine.model.report import ObjectRef, Precondition

CHANGE: Final = "dogwatch.dev/change"
"""Annotation with the id of the change that last patched the object."""


class Unfit(DogwatchError):  # noqa: N818 - what happened is its name
    """A template cannot be applied here; the message says why."""


class NoParams(Config):
    """Nothing to choose."""


@dataclass(frozen=True)
class Edit:
    """One write that a template asks for; a wave begins once the one before it is verified."""

    verb: Verb
    ref: ObjectRef
    resource: str
    patch: Mapping[str, Any] = field(default_factory=dict)
    wave: int = 0


@dataclass(frozen=True)
class Template:
    """One kind of change.

    Attributes:
        name: what drafts and the policy call it.
        summary: one sentence on what it does.
        risk, reversible, why_reversible: what it can do at worst, and whether it is undone.
        params: model of the parameters; bounds that depend on the cluster are `build`'s.
        needs: resources that `build` and the probes read (`deployments.apps`).
        build: (view, target, params, id of the change) -> edits; raises Unfit.
        preconditions: (view, target, params) -> what must hold; one that is False refuses.
        probes: (view, target, params) -> what must hold afterwards, beside what is asked of
            every change.
        cures: whether the findings that it was proposed for must be gone afterwards.
    """

    name: str
    summary: str
    risk: Risk
    reversible: Reversible
    why_reversible: str
    params: type[Config]
    needs: tuple[str, ...]
    build: Callable[[ClusterView, ObjectRef, Any, str], list[Edit]]
    preconditions: Callable[[ClusterView, ObjectRef, Any], list[Precondition]]
    probes: Callable[[ClusterView, ObjectRef, Any], list[Probe]]
    cures: bool = True


def found(view: ClusterView, ref: ObjectRef, kinds: Sequence[str]) -> Object:
    """Return the object that a template is applied to.

    Raises:
        Unfit: it is of no kind in `kinds`, it was not read, or it was made anew since.
    """
    if ref.kind not in kinds:
        raise Unfit(f"{ref}: only {', '.join(kinds)} can be the target")
    obj = view.find(ref)
    if obj is None:
        why = view.why_unread(RESOURCE_OF[ref.kind]) or "it does not exist"
        raise Unfit(f"{ref}: {why}")
    uid = view.ref(obj).uid
    if ref.uid and uid != ref.uid:
        raise Unfit(f"{ref} was made anew since: it has another uid")
    return obj


def marked(patch: Mapping[str, Any], change_id: str) -> dict[str, Any]:
    """Return a merge patch that notes beside what it does which change did it."""
    return {**patch, "metadata": {"annotations": {CHANGE: change_id}}}


def patching(
    view: ClusterView, obj: Object, patch: Mapping[str, Any], change_id: str, wave: int = 0
) -> Edit:
    """Return the edit that merges `patch` into `obj`, with the mark of the change."""
    ref = view.ref(obj)
    return Edit(Verb.PATCH, ref, RESOURCE_OF[ref.kind], marked(patch, change_id), wave)


def rollout_probe(ref: ObjectRef) -> Probe:
    """Return the probe that the roll-out of a workload is complete."""
    return Probe(name="rollout", args=place(ref))


def place(ref: ObjectRef) -> dict[str, str]:
    """Return how a probe names an object: by what outlives its being made anew."""
    return {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name}
