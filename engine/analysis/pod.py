"""Pod: its containers with their state, and what it says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from engine.analysis.field import at, condition, flag, instant, mapping, mappings, text, whole

Role: TypeAlias = Literal["init", "sidecar", "app"]


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod: what was asked for, and what the kubelet says of it."""

    name: str
    role: Role
    spec: Mapping[str, Any]
    status: Mapping[str, Any]

    @property
    def image(self) -> str:
        """The image as the spec writes it."""
        return text(self.spec, "image")

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return whole(self.status, "restartCount") or 0

    @property
    def waiting(self) -> str:
        """The reason why it waits, empty while it does not."""
        return text(self.status, "state", "waiting", "reason")

    @property
    def waiting_message(self) -> str:
        """The raw message why it waits."""
        return text(self.status, "state", "waiting", "message")

    @property
    def started(self) -> datetime | None:
        """Since when it runs, None while it does not."""
        return instant(self.status, "state", "running", "startedAt")

    @property
    def running(self) -> bool:
        """Whether its process runs now."""
        return isinstance(at(self.status, "state", "running"), dict)

    @property
    def ended(self) -> tuple[str, Mapping[str, Any]]:
        """Path and body of how its process last ended: `state` before `lastState`."""
        for path in ("state", "lastState"):
            found = mapping(self.status, path, "terminated")
            if found:
                return f"{path}.terminated", found
        return "", {}

    @property
    def path(self) -> str:
        """Where its status stands in the pod."""
        field = "containerStatuses" if self.role == "app" else "initContainerStatuses"
        return f"status.{field}[{self.name}]"


def containers(pod: Mapping[str, Any]) -> list[Container]:
    """Return the containers of a pod in the order in which they must work: init first."""
    spec = mapping(pod, "spec")
    found = []
    for field, status_field in (
        ("initContainers", "initContainerStatuses"),
        ("containers", "containerStatuses"),
    ):
        statuses = {text(s, "name"): s for s in mappings(pod, "status", status_field)}
        for entry in mappings(spec, field):
            name = text(entry, "name")
            found.append(Container(name, _role(field, entry), entry, statuses.get(name, {})))
    return found


def _role(field: str, entry: Mapping[str, Any]) -> Role:
    if field == "containers":
        return "app"
    return "sidecar" if text(entry, "restartPolicy") == "Always" else "init"


def phase(pod: Mapping[str, Any]) -> str:
    """Return status.phase, empty in a manifest."""
    return text(pod, "status", "phase")


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether the pod says that it is Ready."""
    return condition(pod, "Ready").get("status") == "True"


def is_done(pod: Mapping[str, Any]) -> bool:
    """Whether the pod ran to its end, or is being deleted."""
    return phase(pod) in {"Succeeded", "Failed"} or bool(text(pod, "metadata", "deletionTimestamp"))


def restarts_always(pod: Mapping[str, Any]) -> bool:
    """Whether a container that ends with 0 is started again."""
    return (text(pod, "spec", "restartPolicy") or "Always") == "Always"


def age(since: datetime | None, now: datetime) -> timedelta:
    """Return how long ago `since` was; zero where it is not known or lies ahead."""
    return max(now - since, timedelta()) if since else timedelta()


def created(obj: Mapping[str, Any]) -> datetime | None:
    """Return metadata.creationTimestamp."""
    return instant(obj, "metadata", "creationTimestamp")


def is_optional(reference: Mapping[str, Any]) -> bool:
    """Whether a reference to a ConfigMap or Secret may lead nowhere."""
    return flag(reference, "optional") is True
