"""References of a pod's spec: the ConfigMaps, Secrets and claims that it can not run without."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.analysis.cluster_view import ClusterView
from engine.analysis.field import mapping, mappings, text
from engine.analysis.pod import is_optional


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference; `key` is empty where the whole object is meant, `path` says where."""

    kind: str
    name: str
    path: str
    key: str = ""
    optional: bool = False
    container: str = ""


def references(spec: Mapping[str, Any]) -> Iterator[Reference]:
    """Yield every reference of a pod spec, in the order of the spec."""
    for volume in mappings(spec, "volumes"):
        yield from _of_volume(volume)
    for field in ("initContainers", "containers"):
        for container in mappings(spec, field):
            yield from _of_container(container, f"spec.{field}[{text(container, 'name')}]")
    for secret in mappings(spec, "imagePullSecrets"):
        if text(secret, "name"):
            yield Reference("Secret", text(secret, "name"), "spec.imagePullSecrets", optional=True)


def absent(view: ClusterView, namespace: str, reference: Reference) -> bool | None:
    """Whether what `reference` needs is certainly not there; None where it cannot be known."""
    missing = view.missing(reference.kind, namespace, reference.name)
    if missing is not False or not reference.key:
        return missing
    found = view.get(reference.kind, namespace, reference.name)
    keys = {key for field in ("data", "binaryData", "stringData") for key in mapping(found, field)}
    if not keys and reference.kind == "Secret":
        return None
    return reference.key not in keys


def _of_volume(volume: Mapping[str, Any]) -> Iterator[Reference]:
    path = f"spec.volumes[{text(volume, 'name')}]"
    claim = mapping(volume, "persistentVolumeClaim")
    if text(claim, "claimName"):
        yield Reference("PersistentVolumeClaim", text(claim, "claimName"), path)
    sources = [volume, *mappings(volume, "projected", "sources")]
    for source in sources:
        yield from _of_source(source, path)


def _of_source(source: Mapping[str, Any], path: str) -> Iterator[Reference]:
    for field, kind, name_field in (
        ("configMap", "ConfigMap", "name"),
        ("secret", "Secret", "secretName" if "secretName" in mapping(source, "secret") else "name"),
    ):
        body = mapping(source, field)
        name = text(body, name_field)
        if name:
            optional = is_optional(body)
            yield Reference(kind, name, path, optional=optional)
            for item in mappings(body, "items"):
                if text(item, "key"):
                    yield Reference(kind, name, path, text(item, "key"), optional)


def _of_container(container: Mapping[str, Any], path: str) -> Iterator[Reference]:
    owner = text(container, "name")
    for source in mappings(container, "envFrom"):
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            body = mapping(source, field)
            if text(body, "name"):
                name, optional = text(body, "name"), is_optional(body)
                yield Reference(kind, name, f"{path}.envFrom", "", optional, owner)
    for variable in mappings(container, "env"):
        for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            body = mapping(variable, "valueFrom", field)
            if text(body, "name"):
                name, key = text(body, "name"), text(body, "key")
                where = f"{path}.env[{text(variable, 'name')}]"
                yield Reference(kind, name, where, key, is_optional(body), owner)
