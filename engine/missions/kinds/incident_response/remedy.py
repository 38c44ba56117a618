"""The table of remedies: what a person can do, how risky it is, and the command to do it with."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Literal, TypeAlias

from engine.analysis.change import WORKLOADS
from engine.analysis.cluster_view import ClusterView
from engine.analysis.field import mappings, text
from engine.analysis.quantity import parse
from engine.analysis.revision import earlier
from engine.changes.templates.scaling import most, replicas_of
from engine.model.instant import rfc3339, to_us
from engine.model.report import ObjectRef

Risk: TypeAlias = Literal["low", "medium", "high"]
Reversible: TypeAlias = Literal["yes", "partly", "no"]
Aim: TypeAlias = Literal["workload", "node", "cause", "pod"]
_MI = 1 << 20
_GROWTH = Fraction(6, 5)
_AT_LEAST = 100 * _MI


@dataclass(frozen=True)
class Target:
    """Where a remedy is applied: the object, and the container or key that the cause names."""

    view: ClusterView
    ref: ObjectRef
    key: str

    @property
    def place(self) -> str:
        """The kubectl options and words that name the object, quoted for a shell."""
        space = f" -n {shlex.quote(self.ref.namespace)}" if self.ref.namespace else ""
        return f"{space} {self.ref.kind.lower()}/{shlex.quote(self.ref.name)}"

    @property
    def container(self) -> str:
        """The container that the cause names, the first word of its key."""
        return self.key.partition(" ")[0]


def _no_params(target: Target) -> dict[str, Any]:  # noqa: ARG001 - the form of all
    return {}


@dataclass(frozen=True)
class Remedy:
    """One kind of remedy.

    Attributes:
        title: what is done, `{}` standing for the object.
        aim: what it is applied to: the workload that suffers, its stuck pods, the node, or
            what is blamed.
        command: the kubectl command for a person, or None where there is no one command.
        template: the change template that does it, empty where only a person can.
        params: of the template, for this target.
    """

    title: str
    risk: Risk
    reversible: Reversible
    aim: Aim
    command: Callable[[Target], str] | None = None
    template: str = ""
    params: Callable[[Target], dict[str, Any]] = _no_params


def _kubectl(verb: str, tail: str = "") -> Callable[[Target], str]:
    def command(target: Target) -> str:
        return f"kubectl {verb}{target.place}{tail}"

    return command


def _rollback(target: Target) -> str:
    kept = earlier(target.view, target.ref)
    number = f" --to-revision={kept[0].number}" if kept else ""
    return f"kubectl rollout undo{target.place}{number}"


def _revision(target: Target) -> dict[str, Any]:
    """Name the revision: what was approved is not another one by the time it is done."""
    kept = earlier(target.view, target.ref)
    return {"revision": kept[0].number} if kept and kept[0].number > 0 else {}


def _more_replicas(target: Target) -> dict[str, Any]:
    """Return half as many again, at least one more."""
    present = replicas_of(target.view.find(target.ref) or {})
    return {"replicas": min(most(present), present + max(1, present // 2))}


def _at_once(target: Target) -> dict[str, Any]:
    return {"at": rfc3339(to_us(target.view.now))}


def _set_image(target: Target) -> str:
    container = shlex.quote(_container_of(target) or "CONTAINER")
    return f"kubectl set image{target.place} {container}=IMAGE"


def _container_of(target: Target) -> str:
    """The container whose image the cause names; its key is the image, or the container."""
    obj = target.view.find(target.ref)
    for container in mappings(obj, "spec", "template", "spec", "containers"):
        if target.key and target.key in {text(container, "image"), text(container, "name")}:
            return text(container, "name")
    return target.container if "/" not in target.container else ""


def _set_memory(target: Target) -> str:
    limit = _memory_limit(target)
    wanted = f"{_mebibytes(limit)}Mi" if limit else "MEMORY"
    return (
        f"kubectl set resources{target.place} -c {shlex.quote(target.container or '*')}"
        f" --limits=memory={wanted}"
    )


def _memory_limit(target: Target) -> Fraction | None:
    pods = target.view.pods_of(target.ref)
    template = target.view.find(target.ref)
    spaces = [mappings(template, "spec", "template", "spec", "containers")]
    spaces += [mappings(pod, "spec", "containers") for pod in pods[:1]]
    for containers in spaces:
        for container in containers:
            if text(container, "name") == target.container:
                return parse(text(container, "resources", "limits", "memory"))
    return None


def _mebibytes(limit: Fraction) -> int:
    """Return max(limit x 1.2, limit + 100 MiB), rounded up, in MiB."""
    return -int(-max(limit * _GROWTH, limit + _AT_LEAST) // _MI)


def _drain(target: Target) -> str:
    name = shlex.quote(target.ref.name)
    return f"kubectl drain {name} --ignore-daemonsets --delete-emptydir-data"


def _cordon(target: Target) -> str:
    return f"kubectl cordon {shlex.quote(target.ref.name)}"


def _evict(target: Target) -> str:
    return f"kubectl delete{target.place}"


def _uncordon(target: Target) -> str:
    return f"kubectl uncordon {shlex.quote(target.ref.name)}"


def _create(target: Target) -> str:
    ref = target.ref
    space = f"-n {shlex.quote(ref.namespace)} " if ref.namespace else ""
    source = f"--from-literal={shlex.quote(target.key or 'KEY')}=VALUE"
    if ref.kind == "ConfigMap" and not target.view.find(ref):
        return f"kubectl {space}create configmap {shlex.quote(ref.name)} {source}"
    if ref.kind == "Secret" and not target.view.find(ref):
        return f"kubectl {space}create secret generic {shlex.quote(ref.name)} {source}"
    return f"kubectl edit{target.place}"


def _pull_secret(target: Target) -> str:
    ref = target.ref
    name = shlex.quote(ref.name if ref.kind == "Secret" else "pull-secret")
    space = f"-n {shlex.quote(ref.namespace)} " if ref.namespace else ""
    return (
        f"kubectl {space}create secret docker-registry {name}"
        " --docker-server=HOST --docker-username=USER --docker-password-stdin"
    )


_EDIT = _kubectl("edit")
_DESCRIBE = _kubectl("describe")

REMEDIES: Final[dict[str, Remedy]] = {
    "rollback": Remedy(
        "Roll {} back to its previous revision",
        "low",
        "yes",
        "workload",
        _rollback,
        "rollback",
        _revision,
    ),
    "scale-up": Remedy(
        "Scale {} up",
        "low",
        "yes",
        "workload",
        _kubectl("scale", " --replicas=COUNT"),
        "scale",
        _more_replicas,
    ),
    "uncordon": Remedy("Let {} take pods again", "low", "yes", "node", _uncordon, "uncordon"),
    "cordon": Remedy("Keep new pods off {}", "low", "yes", "node", _cordon, "cordon"),
    "delete-pod": Remedy(
        "Evict {}, so that its controller makes it anew",
        "medium",
        "no",
        "pod",
        _evict,
        "delete-pod",
    ),
    "restart": Remedy(
        "Restart the pods of {}",
        "medium",
        "no",
        "workload",
        _kubectl("rollout restart"),
        "restart",
        _at_once,
    ),
    "fix-config": Remedy("Correct the configuration of {}", "medium", "yes", "workload", _EDIT),
    "fix-image": Remedy("Give {} an image that works", "medium", "yes", "workload", _set_image),
    "fix-reference": Remedy(
        "Create {} with what is missing, or correct the reference",
        "medium",
        "yes",
        "cause",
        _create,
    ),
    "fix-pull-secret": Remedy(
        "Give credentials for the registry ({})", "medium", "yes", "cause", _pull_secret
    ),
    "fix-registry": Remedy(
        "Make {} reachable and trusted from the nodes", "medium", "partly", "cause"
    ),
    "raise-memory": Remedy(
        "Raise the memory limit in {}", "medium", "yes", "workload", _set_memory
    ),
    "raise-limit": Remedy("Raise the limit in {}", "medium", "yes", "workload", _EDIT),
    "fix-probe": Remedy("Correct the probe of {}", "medium", "yes", "workload", _EDIT),
    "fix-selector": Remedy("Correct the selector of {}", "medium", "yes", "cause", _EDIT),
    "fix-port": Remedy("Correct the port of {}", "medium", "yes", "cause", _EDIT),
    "fix-scheduling": Remedy(
        "Correct what {} asks of its nodes", "medium", "yes", "workload", _EDIT
    ),
    "add-capacity": Remedy("Add a node that has room for {}", "medium", "yes", "workload", None),
    "fix-quota": Remedy("Raise {} or free what it counts", "medium", "yes", "cause", _EDIT),
    "fix-storage": Remedy("Repair {}", "medium", "partly", "cause", _DESCRIBE),
    "fix-job": Remedy("Correct {} and run it again", "medium", "partly", "cause", _DESCRIBE),
    "raise-max-replicas": Remedy("Raise maxReplicas of {}", "medium", "yes", "cause", _EDIT),
    "fix-permission": Remedy("Grant what {} lacks", "medium", "yes", "workload", _DESCRIBE),
    "remove-finalizer": Remedy(
        "Find out who should remove the finalizers of {}", "medium", "partly", "cause", _DESCRIBE
    ),
    "fix-network": Remedy("Repair the pod network on {}", "medium", "partly", "cause", _DESCRIBE),
    "free-disk": Remedy("Free disk space for {}", "medium", "partly", "cause", _DESCRIBE),
    "drain": Remedy("Move all pods off {}", "high", "partly", "node", _drain, "drain"),
}


def targets_of(remedy: Remedy, cause: ObjectRef, struck: list[ObjectRef]) -> list[ObjectRef]:
    """Return what a remedy is applied to.

    Args:
        remedy: an entry of the table.
        cause: the object that the hypothesis blames.
        struck: owners of what it explains, in order.
    """
    if remedy.aim == "cause":
        return [cause]
    if remedy.aim == "node":
        return [ref for ref in (cause, *struck) if ref.kind == "Node"][:1]
    if cause.kind in WORKLOADS:
        return [cause]
    return [ref for ref in struck if ref.kind in WORKLOADS] or (
        [cause] if cause.kind in {"Pod", "Job", "CronJob", "ReplicaSet"} else []
    )
