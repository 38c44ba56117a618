"""Symptom: what a check yields. A check is a pure function over one cluster.

A check reads a ClusterView and yields a Symptom for each thing that is wrong, and an
`Unknown` (`view.unknown(what, reason)`) for each thing that it could not tell. It yields
nothing for what is healthy. It reads objects through `engine.analysis.field`, shows text of
the cluster through `engine.analysis.text.clean`, and never raises.

Checks stand in modules of `engine.analysis.checks`, each with a tuple `CHECKS`; the table
of all of them is `engine.missions.kinds.incident_response.checks`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from engine.analysis.text import clean
from engine.model.ids import digest
from engine.model.report import Evidence, ObjectRef, Severity, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.analysis.cluster_view import ClusterView

VALUE_LIMIT = 400


class Origin(StrEnum):
    """Where evidence comes from; two pieces are independent when this or the kind differs."""

    STATUS = "status"
    SPEC = "spec"
    EVENT = "event"
    LOG = "log"
    ABSENCE = "absence"
    CHANGE = "change"


def evidence(
    origin: Origin, obj: ObjectRef, path: str, value: object, time: datetime | None = None
) -> Evidence:
    """Return one piece of evidence, its id a hash of what was read and what it said.

    Args:
        origin: status, spec, event ...
        obj: the object read.
        path: what of it: `status.containerStatuses[app].lastState`, `FailedMount`.
        value: what it said; cleaned and capped here.
        time: when it was true, where known.
    """
    source = clean(f"{origin} {obj} {path}".rstrip(), VALUE_LIMIT)
    said = clean(value, VALUE_LIMIT)
    return Evidence(
        id="e-" + digest([obj.cluster, source, said])[:12], source=source, value=said, time=time
    )


@dataclass(frozen=True, slots=True)
class Cause:
    """What a check blames.

    Attributes:
        word: stable word for the mechanism, for example `image-not-found`,
            `config-missing`, `node-not-ready`; equal words and objects are one root.
        object: what is blamed: Node, ConfigMap, Secret, PersistentVolumeClaim, the workload
            itself ... it need not exist.
        title: the cause as a clause: "image shop/web:9 does not exist in the registry".
        key: tells apart causes of the same word and object: an image, a key, a container.
        remedies: names in the remedy table (`engine.analysis.remedy`), best first.
        suspects: objects further down that are to blame instead if they are unhealthy
            themselves: the Service that a log names, the node a pod runs on.
    """

    word: str
    object: ObjectRef
    title: str
    key: str = ""
    remedies: tuple[str, ...] = ()
    suspects: tuple[ObjectRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that is wrong with one object; `evidence` holds at least one item.

    `object` is what is wrong itself (the Pod, not its Deployment): grouping folds by owner.
    `since` is the earliest instant at which it was known to be wrong. `confidence` is in
    [0, 1]: how sure the cause is, not that something is wrong.
    """

    check: str
    severity: Severity
    object: ObjectRef
    title: str
    observed: str
    expected: str
    cause: Cause
    evidence: tuple[Evidence, ...]
    container: str = ""
    path: str = ""
    references: tuple[str, ...] = ()
    confidence: float = 0.8
    since: datetime | None = None


Found: TypeAlias = Symptom | Unknown


@dataclass(frozen=True, slots=True)
class Check:
    """One entry of the table of checks.

    Attributes:
        name: stable id, for example `pod-image-pull`; the symptoms' `check` equals it.
        title: what it assesses, a noun phrase for the coverage list.
        run: the check.
        reads: resources without which it says nothing (`pods`, `deployments.apps`); where
            one was not read the check is unknown and does not run.
        status_of: kind whose status it judges; in a folder of manifests without any such
            status the check is unknown. Empty for a check of specs alone.
    """

    name: str
    title: str
    run: "Callable[[ClusterView], Iterator[Found]]"
    reads: tuple[str, ...]
    status_of: str = ""
