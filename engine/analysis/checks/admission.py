"""Pods that were never made: quota, policies and webhooks that refuse them."""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.event import Event
from engine.analysis.field import condition, mapping, namespace_of, text
from engine.analysis.quantity import parse
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Evidence, Severity

NAME = "quota"
_MAKERS: Final = ("ReplicaSet", "StatefulSet", "DaemonSet", "Job")
_QUOTA = re.compile(
    r"exceeded quota: ([\w.-]{1,253}), requested: ([^,]{1,200}), used: ([^,]{1,200})"
)
_WEBHOOK = re.compile(
    r'failed calling webhook "([^"]{1,253})"|admission webhook "([^"]{1,253})" denied'
)
_KINDS: Final = (
    ("exceeded quota", "quota-exceeded", "fix-quota"),
    ("violates PodSecurity", "pod-security", "fix-config"),
    ("failed calling webhook", "webhook-down", "fix-config"),
    ("denied the request", "webhook-denied", "fix-config"),
    ("unable to validate against any security context constraint", "pod-security", "fix-config"),
    ("error looking up service account", "service-account-missing", "fix-reference"),
    ("maximum", "limit-range", "fix-config"),
    ("minimum", "limit-range", "fix-config"),
    ("is forbidden", "forbidden", "fix-permission"),
)
_DOCS = ("https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/",)


def _refused(view: ClusterView) -> Iterator[Found]:
    for kind in _MAKERS:
        for maker in view.of(kind):
            events = view.events_of(maker, "FailedCreate")
            failure = condition(maker, "ReplicaFailure")
            said = text(failure, "message") if text(failure, "status") == "True" else ""
            message = said or (events[-1].message if events else "")
            if message and _is_short(maker, said):
                yield _symptom(view, maker, message, events)


def _is_short(maker: Object, said: str) -> bool:
    """Whether pods are missing still: an old Event alone proves nothing once they are there."""
    if said:
        return True
    wanted, there = mapping(maker, "spec").get("replicas"), mapping(maker, "status").get("replicas")
    if isinstance(wanted, int) and isinstance(there, int):
        return there < wanted
    return text(maker, "kind") == "Job" and not mapping(maker, "status").get("active")


def _symptom(view: ClusterView, maker: Object, message: str, events: Sequence[Event]) -> Symptom:
    ref, owner = view.ref(maker), view.top(maker)
    word, remedy = next(
        ((word, remedy) for needle, word, remedy in _KINDS if needle in message),
        ("create-refused", "fix-config"),
    )
    blamed, key, title = owner, "", clean(message, 200)
    quota, webhook = _QUOTA.search(message), _WEBHOOK.search(message)
    if quota:
        blamed = view.named("ResourceQuota", namespace_of(maker), quota[1])
        title = (
            f"quota {quota[1]} is used up: {clean(quota[2], 80)} asked, {clean(quota[3], 80)} used"
        )
    elif webhook:
        key = clean(webhook[1] or webhook[2], 100)
        title = f"admission webhook {key} {'does not answer' if webhook[1] else 'refuses the pods'}"
    proof = list(_proof(view, maker, message, events))
    if quota:
        proof.extend(_quota_proof(view, namespace_of(maker), quota[1]))
    return Symptom(
        check=NAME,
        severity=Severity.HIGH,
        object=ref,
        path="status.conditions[ReplicaFailure]",
        title=f"{ref.kind} {ref.name} cannot make its pods: {title}",
        observed=clean(message),
        expected="pods are admitted",
        cause=Cause(word, blamed, title, key, (remedy, "rollback")),
        evidence=tuple(proof),
        references=_DOCS,
        confidence=0.9,
        since=events[0].first if events else None,
    )


def _proof(
    view: ClusterView, maker: Object, message: str, events: Sequence[Event]
) -> Iterator[Evidence]:
    ref = view.ref(maker)
    if condition(maker, "ReplicaFailure"):
        yield evidence(Origin.STATUS, ref, "status.conditions[ReplicaFailure]", message)
    for event in events[-2:]:
        yield evidence(Origin.EVENT, ref, event.reason, event.message, event.last)


def _quota_proof(view: ClusterView, namespace: str, name: str) -> Iterator[Evidence]:
    """Yield what of the quota is used up by its own status."""
    quota = view.get("ResourceQuota", namespace, name)
    if quota is None:
        return
    hard, used = mapping(quota, "status", "hard"), mapping(quota, "status", "used")
    for resource in sorted(hard):
        limit, taken = parse(hard.get(resource)), parse(used.get(resource))
        if limit is not None and taken is not None and taken * 10 >= limit * Fraction(9):
            said = f"{resource}: {used[resource]} of {hard[resource]} used"
            yield evidence(Origin.STATUS, view.ref(quota), "status.used", said)


CHECKS = (
    Check(NAME, "pods that admission refuses", _refused, ("replicasets.apps",), "ReplicaSet"),
)
