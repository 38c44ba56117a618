"""Containers that run and fail their probes: the probe's port, path, time, or the program."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from engine.analysis.checks.pod_crash import is_crashing
from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.event import Event
from engine.analysis.field import mapping, mappings, text, whole
from engine.analysis.pod import Container, age, containers, is_done
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Severity

NAME = "pod-probe"
RECENT = timedelta(minutes=10)
_YOUNG = timedelta(minutes=5)
_FIELDS: Final = {
    "Readiness": "readinessProbe",
    "Liveness": "livenessProbe",
    "Startup": "startupProbe",
}
_REFUSED = re.compile(r"(?i)connection refused")
_STATUS = re.compile(r"(?i)statuscode: (\d{3})")
_SLOW = re.compile(r"(?i)deadline exceeded|client\.timeout|timed? ?out")
_ONE_SECOND = 1
_SERVER_ERROR = 500
_NOT_FOUND = 404
_MENDS: Final = ("fix-probe", "rollback")
_MENDS_APP: Final = ("rollback", "fix-probe")


@dataclass(frozen=True, slots=True)
class _Probed:
    """One failing probe: `kind` is Readiness, Liveness or Startup."""

    view: ClusterView
    pod: Object
    container: Container
    kind: str
    event: Event

    @property
    def field(self) -> str:
        return _FIELDS[self.kind]

    @property
    def spec(self) -> Mapping[str, Any]:
        return mapping(self.container.spec, self.field)

    @property
    def port(self) -> int | str:
        """The port as the probe writes it, empty for a command."""
        for how in ("httpGet", "tcpSocket", "grpc"):
            port = mapping(self.spec, how).get("port")
            if isinstance(port, int | str):
                return port
        return ""


def probe_failures(view: ClusterView) -> Iterator[Found]:
    """Yield each running container whose probe failed within the last ten minutes.

    A container that keeps being restarted belongs to the check of crashes.
    """
    for pod in view.of("Pod"):
        if is_done(pod):
            continue
        for container in containers(pod):
            if container.running and not is_crashing(view, pod, container):
                probed = _failing(view, pod, container)
                if probed is not None:
                    yield _symptom(probed)


def _failing(view: ClusterView, pod: Object, container: Container) -> _Probed | None:
    ready = container.status.get("ready") is True
    for event in reversed(view.events_of(pod, "Unhealthy")):
        kind = event.message.partition(" ")[0]
        old = event.last is not None and age(event.last, view.now) > RECENT
        if kind not in _FIELDS or old or event.container not in {"", container.name}:
            continue
        if not ready or kind != "Readiness":
            return _Probed(view, pod, container, kind, event)
    return None


def _symptom(probed: _Probed) -> Symptom:
    ref = probed.view.ref(probed.pod)
    cause, sure = _cause(probed)
    name, field = probed.container.name, probed.field
    asked = _asked(probed)
    return Symptom(
        check=NAME,
        severity=Severity.HIGH,
        object=ref,
        title=f"container {name} fails its {probed.kind.lower()} probe",
        observed=clean(probed.event.message),
        expected="the probe succeeds",
        cause=cause,
        evidence=(
            evidence(Origin.EVENT, ref, "Unhealthy", probed.event.message, probed.event.last),
            evidence(Origin.SPEC, ref, f"spec.containers[{name}].{field}", asked),
            evidence(
                Origin.STATUS,
                ref,
                f"{probed.container.path}.ready",
                probed.container.status.get("ready"),
            ),
        ),
        container=name,
        path=f"spec.containers[{name}].{field}",
        confidence=sure,
        since=probed.event.first,
    )


def _asked(probed: _Probed) -> str:
    path = text(probed.spec, "httpGet", "path")
    seconds = whole(probed.spec, "timeoutSeconds") or _ONE_SECOND
    target = f"port {probed.port}" if probed.port != "" else "a command"
    return clean(f"{target} {path} timeoutSeconds {seconds}")


def _cause(probed: _Probed) -> tuple[Cause, float]:
    word, clause, remedies, sure = _port(probed) or _answer(probed)
    name = probed.container.name
    cause = Cause(
        word,
        probed.view.workload(probed.pod),
        clean(f"container {name}: {clause}"),
        f"{name} {probed.kind.lower()}",
        remedies,
    )
    return cause, sure


_Answer = tuple[str, str, tuple[str, ...], float]


def _port(probed: _Probed) -> _Answer | None:
    """The probe asks at a port that the container does not declare."""
    ports = mappings(probed.container.spec, "ports")
    names = {text(p, "name") for p in ports}
    numbers = {whole(p, "containerPort") for p in ports}
    if isinstance(probed.port, str) and probed.port and not probed.port.isdecimal():
        if probed.port in names:
            return None
        clause = f"its {probed.kind.lower()} probe names the port {probed.port}, which it has not"
        return "probe-port", clause, _MENDS, 0.95
    number = int(probed.port) if str(probed.port).isdecimal() else None
    if number is None or not ports or number in numbers:
        return None
    if not _REFUSED.search(probed.event.message):
        return None
    declared = ", ".join(sorted(str(n) for n in numbers if n is not None))
    clause = f"its {probed.kind.lower()} probe asks at port {number}; it declares {declared}"
    return "probe-port", clause, _MENDS, 0.9


def _answer(probed: _Probed) -> _Answer:
    """What the probe's answer says."""
    message = probed.event.message[:2000]
    kind = probed.kind.lower()
    status = _STATUS.search(message)
    if status:
        return _by_status(int(status.group(1)), kind)
    young = age(probed.container.started, probed.view.now) < _YOUNG
    if kind == "liveness" and young and not mapping(probed.container.spec, "startupProbe"):
        clause = "it starts more slowly than its liveness probe allows, without a startup probe"
        return "slow-start", clause, _MENDS, 0.75
    if _SLOW.search(message):
        seconds = whole(probed.spec, "timeoutSeconds") or _ONE_SECOND
        clause = f"it answers its {kind} probe more slowly than timeoutSeconds {seconds} allows"
        return "probe-timeout", clause, _MENDS, 0.8 if seconds <= _ONE_SECOND else 0.65
    if _REFUSED.search(message):
        clause = f"nothing listens where its {kind} probe asks"
        return "not-listening", clause, _MENDS_APP, 0.7
    return "probe-fails", f"its {kind} probe fails", _MENDS_APP, 0.5


def _by_status(status: int, kind: str) -> _Answer:
    if status == _NOT_FOUND:
        return "probe-path", f"its {kind} probe asks for a path that it does not know", _MENDS, 0.85
    if status >= _SERVER_ERROR:
        return "app-unhealthy", f"it answers its {kind} probe with {status}", _MENDS_APP, 0.75
    return "probe-refused", f"it answers its {kind} probe with {status}", _MENDS, 0.75


CHECKS = (Check(NAME, "probes of containers", probe_failures, ("pods", "events"), "Pod"),)
