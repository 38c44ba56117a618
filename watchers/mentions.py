"""Mentions: what one object says of others, as far as derived fields ask for it. Pure."""

from collections.abc import Callable, Iterator, Mapping
from sys import intern
from typing import Any, Final, NamedTuple

from engine.analysis.field import at, mapping, mappings, name_of, namespace_of, text
from engine.model.watch import Object
from watchers.derive import derive

_OUTSIDE: Final = frozenset({"NodePort", "LoadBalancer"})
_ENDED: Final = frozenset({"Succeeded", "Failed"})


class Mention(NamedTuple):
    """One thing that an object says; `of` is `namespaces/shop`, `claims/shop/data`, ..."""

    what: str
    of: str


def mentions(obj: Object) -> tuple[Mention, ...]:
    """Return what `obj` says of others, the same for two of its states that say the same.

    pods, running, policies, exposed: of its namespace. used: of a claim. row: of all claims of
    one template of a StatefulSet, by the name without the ordinal. wide, narrow: of itself, a
    role, whether a rule of it grants every verb or every resource.
    """
    say = _KINDS.get(str(obj.get("kind", "")))
    return tuple(say(obj)) if say else ()


def namespace(name: str) -> str:
    """Return how a namespace is mentioned."""
    return intern(f"namespaces/{name}")


def claim(space: str, name: str) -> str:
    """Return how a claim is mentioned, or a row of claims."""
    return f"claims/{space}/{name}"


def role(kind: str, space: str, name: str) -> str:
    """Return how a role is mentioned; a ClusterRole has no namespace."""
    return f"{kind}/{space if kind == 'Role' else ''}/{name}"


def _pod(pod: Object) -> Iterator[Mention]:
    space = namespace(namespace_of(pod))
    phase = text(pod, "status", "phase")
    if phase not in _ENDED:
        yield Mention("pods", space)
    if phase == "Running" and not _of_daemon_set(pod):
        yield Mention("running", space)
    yield from _claims(pod, pod)


def _of_daemon_set(pod: Object) -> bool:
    owners = mappings(pod, "metadata", "ownerReferences")
    return any(one.get("controller") and one.get("kind") == "DaemonSet" for one in owners)


def _claims(owner: Object, pod: Mapping[str, Any]) -> Iterator[Mention]:
    """Yield the claims that a pod or a template of `owner` refers to."""
    space = namespace_of(owner)
    for volume in mappings(pod, "spec", "volumes"):
        name = text(volume, "persistentVolumeClaim", "claimName")
        if not name and at(volume, "ephemeral", "volumeClaimTemplate") and "status" in pod:
            name = f"{name_of(owner)}-{text(volume, 'name')}"
        if name:
            yield Mention("used", claim(space, name))


def _template(obj: Object) -> Iterator[Mention]:
    yield from _claims(obj, mapping(obj, "spec", "template"))
    for template in mappings(obj, "spec", "volumeClaimTemplates"):
        row = f"{name_of(template)}-{name_of(obj)}"
        yield Mention("row", claim(namespace_of(obj), row))


def _cron_job(job: Object) -> Iterator[Mention]:
    return _claims(job, mapping(job, "spec", "jobTemplate", "spec", "template"))


def _service(service: Object) -> Iterator[Mention]:
    spec = mapping(service, "spec")
    if text(spec, "type") in _OUTSIDE or spec.get("externalIPs"):
        yield Mention("exposed", namespace(namespace_of(service)))


def _ingress(ingress: Object) -> Iterator[Mention]:
    yield Mention("exposed", namespace(namespace_of(ingress)))


def _policy(policy: Object) -> Iterator[Mention]:
    yield Mention("policies", namespace(namespace_of(policy)))


def _role(obj: Object) -> Iterator[Mention]:
    what = "wide" if derive(obj).get("wildcard") else "narrow"
    yield Mention(what, role(str(obj["kind"]), namespace_of(obj), name_of(obj)))


_KINDS: Final[Mapping[str, Callable[[Object], Iterator[Mention]]]] = {
    "Pod": _pod,
    **dict.fromkeys(("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"), _template),
    "CronJob": _cron_job,
    "Service": _service,
    "Ingress": _ingress,
    "NetworkPolicy": _policy,
    **dict.fromkeys(("Role", "ClusterRole"), _role),
}
