"""GPUs by dynamic resource allocation: what drivers offer, and which pods hold it. Pure.

Source: ResourceSlice and ResourceClaim of resource.k8s.io, v1beta1 to v1; the drivers' attributes.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from engine.analysis import field, quantity
from engine.model.watch import Object

DRIVERS: Final = frozenset({"gpu.nvidia.com", "gpu.amd.com", "gpu.intel.com"})
_CLASSES: Final = DRIVERS | {"mig.nvidia.com"}
"""Classes of devices, named as their drivers are, that give a GPU or a part of it."""
_MODELS: Final = ("productName", "model")


class Key(NamedTuple):
    """What a device is known by."""

    driver: str
    pool: str
    device: str


class Device(NamedTuple):
    """A GPU that a driver offers; `memory` in bytes, None where it is not told."""

    uid: str
    name: str
    node: str
    model: str
    memory: float | None


class Claim(NamedTuple):
    """A claim: what it got, for whom (uids of pods), and whether it wants GPUs."""

    devices: tuple[Key, ...]
    pods: tuple[str, ...]
    gpus: bool


def devices(slices: Iterable[Object]) -> dict[Key, Device]:
    """Return the whole GPUs of `slices`; parts of them, and other devices, are left out.

    Of a pool only the slices of its newest generation count.
    """
    ours = [one for one in slices if field.text(one, "spec", "driver") in DRIVERS]
    newest: dict[tuple[str, str], int] = {}
    for one in ours:
        pool = _pool(one)
        newest[pool] = max(newest.get(pool, 0), _generation(one))
    current = [one for one in ours if _generation(one) == newest[_pool(one)]]
    return dict(found for one in current for found in _devices(one))


def claims(objects: Iterable[Object]) -> dict[tuple[str, str], Claim]:
    """Return the claims by namespace and name."""
    return {(field.namespace_of(one), field.name_of(one)): _claim(one) for one in objects}


def _devices(one: Object) -> Iterator[tuple[Key, Device]]:
    driver, pool = _pool(one)
    node = field.text(one, "spec", "nodeName")
    for entry in field.mappings(one, "spec", "devices"):
        name = field.text(entry, "name")
        body = {**field.mapping(entry, "basic"), **entry}
        attributes = _unqualified(field.mapping(body, "attributes"))
        capacity = _unqualified(field.mapping(body, "capacity"))
        if not name or (_text(attributes, "type") or "gpu") != "gpu":
            continue
        key = Key(driver, pool, name)
        uid = _text(attributes, "uuid") or "/".join(key)
        model = next(filter(None, (_text(attributes, model) for model in _MODELS)), "")
        memory = quantity.parse(field.at(capacity, "memory", "value"))
        place = field.text(entry, "nodeName") or node
        yield key, Device(uid, name, place, model, None if memory is None else float(memory))


def _claim(claim: Object) -> Claim:
    results = field.mappings(claim, "status", "allocation", "devices", "results")
    keys = (Key(*(field.text(one, name) for name in Key._fields)) for one in results)
    users = field.mappings(claim, "status", "reservedFor")
    pods = (field.text(one, "uid") for one in users if field.text(one, "resource") == "pods")
    asked = field.mappings(claim, "spec", "devices", "requests")
    return Claim(
        tuple(key for key in keys if key.driver in DRIVERS),
        tuple(pods),
        any(not _CLASSES.isdisjoint(_classes(one)) for one in asked),
    )


def _classes(request: Mapping[str, Any]) -> Iterator[str]:
    yield field.text(request, "deviceClassName")
    yield field.text(request, "exactly", "deviceClassName")
    for one in field.mappings(request, "firstAvailable"):
        yield field.text(one, "deviceClassName")


def _pool(one: Object) -> tuple[str, str]:
    return field.text(one, "spec", "driver"), field.text(one, "spec", "pool", "name")


def _generation(one: Object) -> int:
    return field.whole(one, "spec", "pool", "generation") or 0


def _unqualified(named: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes by name without the driver's domain; without a domain it goes before."""
    qualified = {name.rpartition("/")[2]: value for name, value in named.items()}
    return {**qualified, **{name: value for name, value in named.items() if "/" not in name}}


def _text(attributes: Mapping[str, Any], name: str) -> str:
    return field.text(attributes, name, "string")
