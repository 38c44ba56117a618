"""From certified objects to what is told of certificates: each place once. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.model.watch import Object
from watchers.issuance import items, mapping
from watchers.polling import Fact

CERTIFICATES: Final = "certificates.cert-manager.io"
SECRETS: Final = "secrets"
Place = tuple[str, str]
"""Namespace and name of a Secret."""
Workloads = Mapping[Place, str]
"""By Secret the workload that mounts it, the first by name where there are several."""


def mounted(pod: Object) -> tuple[str, tuple[str, ...]] | None:
    """Return the namespace of a Pod and the Secrets that it mounts, None where it mounts none."""
    found: list[str] = []
    for volume in map(mapping, items(mapping(pod.get("spec")).get("volumes"))):
        found.append(str(mapping(volume.get("secret")).get("secretName", "")))
        sources = map(mapping, items(mapping(volume.get("projected")).get("sources")))
        found += [str(mapping(one.get("secret")).get("name", "")) for one in sources]
    names = tuple(sorted({name for name in found if name}))
    return (str(pod["metadata"].get("namespace", "")), names) if names else None


def facts(mirrored: Mapping[str, Mapping[str, Object]], workloads: Workloads) -> Iterator[Fact]:
    """Yield what is told of the certificates in objects.

    A Secret that belongs to a Certificate of cert-manager is told as that Certificate, with what
    its chain says: dates, names and key are those of the Secret, where it can be read, and
    renewalTime and ready those of the status. So the place is the same whether Secrets are read
    or not, and it is what has to be acted on.

    Args:
        mirrored: by resource the objects by uid, as the views of watchers.certified leave them.
        workloads: who mounts which Secret.
    """
    secrets = {_place(one): one for one in mirrored.get(SECRETS, {}).values()}
    filled = {
        (_place(one)[0], str(one.get("secretName", ""))): one
        for one in mirrored.get(CERTIFICATES, {}).values()
    }
    for resource, objects in mirrored.items():
        for one in objects.values():
            if resource == CERTIFICATES:
                place = (_place(one)[0], str(one.get("secretName", "")))
                entries = [("", {**_entry(one), **_chain(secrets.get(place))})]
                yield from _facts(one, resource, entries, workloads.get(place, ""))
            elif resource != SECRETS or _place(one) not in filled:
                workload = workloads.get(_place(one), "") if resource == SECRETS else ""
                yield from _facts(one, resource, one.get("found") or [], workload)


def place_fact(kind: str, name: str, told: Mapping[str, Any], source: str, uid: str = "") -> Fact:
    """Return what is told of a certificate that is in no object of the cluster."""
    data = {"kind": kind, "namespace": "", "name": name, "uid": uid, "labels": {}, **told}
    return Fact("certificate", f"{kind}/{name}", {"managed": False, **data}, source)


def _facts(
    one: Object, resource: str, entries: Iterable[Sequence[Any]], workload: str
) -> Iterator[Fact]:
    metadata = one["metadata"]
    kind, (namespace, name) = str(one.get("kind", "")), _place(one)
    manager = "cert-manager" if resource == CERTIFICATES else str(one.get("manager", ""))
    about: dict[str, Any] = {
        "kind": kind,
        "namespace": namespace,
        "uid": str(metadata.get("uid", "")),
        "labels": metadata.get("labels") or {},
        "managed": bool(manager),
        **({"manager": manager} if manager else {}),
        **({"workload": workload} if workload else {}),
    }
    for entry, told in entries:
        named = f"{name}/{entry}" if entry else name
        subject = f"{kind}/{namespace}/{named}" if namespace else f"{kind}/{named}"
        yield Fact("certificate", subject, {**about, "name": named, **told}, resource)


def _entry(one: Object) -> Mapping[str, Any]:
    found: list[Sequence[Any]] = one.get("found") or [("", {})]
    told: Mapping[str, Any] = found[0][1]
    return told


def _chain(secret: Object | None) -> Mapping[str, Any]:
    """Return what the chain of a Certificate's Secret says, nothing where it is not read."""
    return _entry(secret) if secret is not None else {}


def _place(one: Object) -> Place:
    metadata = one["metadata"]
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))
