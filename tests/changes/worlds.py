"""Recorded clusters for templates and plans: a view, a draft and what a server would answer."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from engine.analysis.cluster_view import ClusterView, Object
from engine.changes.merge import apply_patch
from engine.changes.plan import Tried
from engine.changes.templates import TEMPLATES, Edit
from engine.model.change import Draft, Verb
from engine.model.report import ObjectRef, Precondition
from tests.missions.incident.world import (
    ALL,
    NOON,
    Raw,
    a_cluster,
    a_container,
    a_deployment,
    a_node,
    a_pod,
    a_replicaset,
    a_template,
    an,
    owned_by,
    running,
)

GOOD, BAD, WORSE = (f"registry.example/web:{n}" for n in (1, 2, 3))


def a_view(*objects: Raw, **more: Any) -> ClusterView:
    return ClusterView(a_cluster(*objects, **{"read": ALL, **more}), NOON)


def a_draft(view: ClusterView, kind: str, name: str, template: str, **more: Any) -> Draft:
    return Draft(
        id="c-1",
        template=template,
        target=view.named(kind, "shop", name),
        params=more.pop("params", {}),
        findings=more.pop("findings", ["x-1"]),
        title="do it",
        kind="incident-response",
        **more,
    )


def edits(view: ClusterView, template: str, ref: ObjectRef, **params: Any) -> list[Edit]:
    one = TEMPLATES[template]
    return one.build(view, ref, one.params.model_validate(params), "c-1")


def checks(view: ClusterView, template: str, ref: ObjectRef, **params: Any) -> list[Precondition]:
    one = TEMPLATES[template]
    return one.preconditions(view, ref, one.params.model_validate(params))


def held(found: list[Precondition]) -> dict[str, bool | None]:
    return {check.name: check.holds for check in found}


def answered(view: ClusterView, made: Edit, webhook: Mapping[str, Any] | None = None) -> Tried:
    """What a server's dry run answers to an edit; `webhook` is what admission adds."""
    live = deepcopy(dict(_live(view, made)))
    live["metadata"] |= {"resourceVersion": "7", "generation": 4, "managedFields": []}
    if made.verb is Verb.EVICT:
        return Tried(made, live, None)
    answer = apply_patch(apply_patch(live, made.patch), webhook or {})
    answer["metadata"] = {**answer["metadata"], "generation": 5}
    return Tried(made, live, answer)


def _live(view: ClusterView, made: Edit) -> Object:
    found = view.find(made.ref)
    assert found is not None
    return found


def a_rollout(*images: str, ready: int | None = None, **more: Any) -> list[Raw]:
    """A Deployment with one revision for each image, the newest last; its pods are of that one.

    `ready` is the number of the revision of which a pod is ready.
    """
    templates = [a_template(image=image) for image in images]
    owner = a_deployment(template=templates[-1], **more)
    kept = [
        a_replicaset(
            owner,
            f"web-{number}",
            revision=number,
            made=9000 / number,
            template={
                **template,
                "metadata": {"labels": {"app": "web", "pod-template-hash": f"h{number}"}},
            },
            ready=int(number == ready),
        )
        for number, template in enumerate(templates, start=1)
    ]
    pod = a_pod("web-new", running(ready=False), owner=kept[-1])
    return [owner, *kept, pod]


def a_stateful_set(*images: str) -> list[Raw]:
    """A StatefulSet with one ControllerRevision for each image, its pod being of the newest."""
    spec = {"replicas": 1, "template": a_template(image=images[-1])}
    status = {"replicas": 1, "updateRevision": f"db-{len(images)}"}
    owner = an("StatefulSet", "db", "apps/v1", spec=spec, status=status)
    kept = [
        an(
            "ControllerRevision",
            f"db-{number}",
            "apps/v1",
            revision=number,
            data={"spec": {"template": {"$patch": "replace", **a_template(image=image)}}},
            meta=owned_by(owner),
        )
        for number, image in enumerate(images, start=1)
    ]
    labels = {"controller-revision-hash": f"db-{len(images)}"}
    return [owner, *kept, a_pod("db-0", owner=owner, meta={"labels": labels})]


def two_nodes() -> list[Raw]:
    return [a_node("n1"), a_node("n2")]


def asking(cpu: str) -> Raw:
    """A pod template that asks for CPU."""
    container = a_container(resources={"requests": {"cpu": cpu}})
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
