"""Containers that end again and again: what ended them, in order of how sure it is.

Source: pod lifecycle and container states of the Kubernetes API; exit codes of POSIX.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from engine.analysis.checks.jobs import superseded
from engine.analysis.cluster_view import ClusterView
from engine.analysis.event import Event
from engine.analysis.exit_code import Ending, ending
from engine.analysis.field import condition, instant, namespace_of, text, whole
from engine.analysis.log_pattern import LogMatch, last_line, read_log
from engine.analysis.pod import Container, age, containers, is_done, phase, restarts_always
from engine.analysis.start_error import StartError, read_start_error
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Evidence, ObjectRef, Severity

RECENT = timedelta(minutes=10)
_FEW = 2
_START_REASONS = frozenset({"StartError", "ContainerCannotRun"})
_DEPENDENCY = frozenset({"connection-refused", "dns-failed", "timeout", "auth-failed"})
_PROBE_EXITS = frozenset({0, 137, 143})
_SIGKILL = 137
_UNTOLD = Ending("ends-again", "it keeps ending", ("rollback",), 0.4)


@dataclass(frozen=True, slots=True)
class _Crash:
    """One container that keeps ending, with what is at hand about it."""

    view: ClusterView
    pod: Mapping[str, Any]
    container: Container
    path: str
    ended: Mapping[str, Any]

    @property
    def ref(self) -> ObjectRef:
        return self.view.ref(self.pod)

    @property
    def code(self) -> int | None:
        return whole(self.ended, "exitCode")

    @property
    def workload(self) -> ObjectRef:
        return self.view.workload(self.pod)

    def log(self) -> tuple[str, str] | None:
        """The log of the process that ended, before that of the one that runs."""
        for previous in (True, False):
            found = self.view.log(self.pod, self.container.name, previous=previous)
            if found and found.strip():
                return ("previous log" if previous else "log"), found
        return None


def crashes(view: ClusterView) -> Iterator[Found]:
    """Yield each container that ends again and again, and whose end was no lack of memory."""
    for pod, container in crashing(view):
        path, ended = container.ended
        if ended.get("reason") != "OOMKilled":
            yield _symptom(_Crash(view, pod, container, path, ended))


def crashing(view: ClusterView) -> Iterator[tuple[Mapping[str, Any], Container]]:
    """Yield each container that ends again and again, with its pod, in order of name.

    A container counts that waits in CrashLoopBackOff, that ended with an error and is to be
    started again, or that runs but was restarted at least twice, last within ten minutes.
    Pods that are over do not count, but those of a Job that failed for good.
    """
    for pod in view.of("Pod"):
        if not is_done(pod) or _failed_its_job(view, pod):
            for container in containers(pod):
                if is_crashing(view, pod, container):
                    yield pod, container


def _failed_its_job(view: ClusterView, pod: Mapping[str, Any]) -> bool:
    """Whether the pod failed and its Job with it, and no later run of its CronJob did well."""
    owner = view.controller(pod) if phase(pod) == "Failed" else None
    job = view.find(owner) if owner is not None and owner.kind == "Job" else None
    if job is None or condition(job, "Failed").get("status") != "True":
        return False
    return not superseded(view, job)


def is_crashing(view: ClusterView, pod: Mapping[str, Any], container: Container) -> bool:
    """Whether a container ends again and again; see `crashing`."""
    if container.waiting == "CrashLoopBackOff":
        return True
    path, ended = container.ended
    code = whole(ended, "exitCode")
    if path.startswith("state."):
        return code not in {None, 0} or (container.role == "app" and restarts_always(pod))
    finished = instant(ended, "finishedAt")
    recent = finished is not None and age(finished, view.now) <= RECENT
    return recent and container.running and container.restarts >= _FEW


def _symptom(crash: _Crash) -> Symptom:
    cause, sure, more = _cause(crash)
    container = crash.container
    code = "unknown" if crash.code is None else str(crash.code)
    state = container.waiting or ("Running" if container.running else "ended")
    seen = evidence(
        Origin.STATUS,
        crash.ref,
        f"{container.path}.{crash.path or 'state.waiting'}",
        f"exit code {code}, reason {text(crash.ended, 'reason') or 'none'}",
        instant(crash.ended, "finishedAt"),
    )
    kind = "init container" if container.role == "init" else "container"
    behind = "; the containers after it wait" if container.role == "init" else ""
    return Symptom(
        check="pod-crash",
        severity=Severity.HIGH,
        object=crash.ref,
        title=f"{kind} {container.name} keeps crashing",
        observed=clean(
            f"{container.restarts} restarts, now {state}, last exit code {code}{behind}"
        ),
        expected="the container runs without ending",
        cause=cause,
        evidence=(seen, *_back_off(crash), *more),
        container=container.name,
        path=container.path,
        confidence=sure,
        since=_since(crash),
    )


def _back_off(crash: _Crash) -> Iterator[Evidence]:
    events = crash.view.events_of(crash.pod, "BackOff")
    for event in [e for e in events if e.container in {"", crash.container.name}][-1:]:
        yield _of_event(crash, event)


def _of_event(crash: _Crash, event: Event, ref: ObjectRef | None = None) -> Evidence:
    return evidence(Origin.EVENT, ref or crash.ref, event.reason, event.message, event.last)


def _since(crash: _Crash) -> Any:
    """The earliest instant known: the first back-off, else the last start before the end."""
    events = crash.view.events_of(crash.pod, "BackOff")
    known = [e.first for e in events if e.first and e.container in {"", crash.container.name}]
    started = instant(crash.ended, "startedAt") or instant(crash.ended, "finishedAt")
    return min([*known, started]) if started else min(known, default=None)


_Answer = tuple[Cause, float, tuple[Evidence, ...]]


def _cause(crash: _Crash) -> _Answer:
    return (
        _start_error(crash)
        or _probe_kill(crash)
        or _told_by_log(crash)
        or _node_memory(crash)
        or _exit_code(crash)
    )


def _start_error(crash: _Crash) -> _Answer | None:
    """The process never ran: the runtime could not start it."""
    if text(crash.ended, "reason") not in _START_REASONS:
        return None
    message = text(crash.ended, "message")
    said = evidence(
        Origin.STATUS, crash.ref, f"{crash.container.path}.{crash.path}.message", message
    )
    return start_cause(crash.workload, crash.container, read_start_error(message)), 0.9, (said,)


def start_cause(workload: ObjectRef, container: Container, error: StartError) -> Cause:
    """Return the cause for a container of `workload` that the runtime could not start."""
    return Cause(
        error.word,
        workload,
        f"container {container.name}: {error.title}",
        key=f"{container.name} {container.image}",
        remedies=error.remedies,
    )


def _probe_kill(crash: _Crash) -> _Answer | None:
    """The kubelet ended it, because its liveness or startup probe failed."""
    if crash.code not in _PROBE_EXITS:
        return None
    unhealthy = [
        e
        for e in crash.view.events_of(crash.pod, "Unhealthy")
        if e.container in {"", crash.container.name}
        and e.message.startswith(("Liveness probe", "Startup probe"))
    ]
    if not unhealthy:
        return None
    probe = unhealthy[-1].message.split(" ", 1)[0].lower()
    killing = [
        e
        for e in crash.view.events_of(crash.pod, "Killing")
        if e.container in {"", crash.container.name} and "probe" in e.message
    ]
    name = crash.container.name
    cause = Cause(
        f"{probe}-kill",
        crash.workload,
        f"the kubelet restarts container {name}: its {probe} probe fails",
        key=name,
        remedies=("fix-probe", "rollback"),
    )
    shown = tuple(_of_event(crash, e) for e in (unhealthy[-1], *killing[-1:]))
    return cause, 0.9 if killing else 0.75, shown


def _told_by_log(crash: _Crash) -> _Answer | None:
    log = crash.log()
    match = read_log(log[1]) if log else None
    if log is None or match is None or crash.code == 0:
        return None
    named = f" ({match.subject})" if match.subject else ""
    cause = Cause(
        match.pattern.word,
        crash.workload,
        f"container {crash.container.name}: {match.pattern.title}{named}",
        key=f"{crash.container.name} {match.subject}".strip(),
        remedies=match.pattern.remedies,
        suspects=_services(crash, match),
    )
    quoted = evidence(
        Origin.LOG, crash.ref, f"{log[0]} of container {crash.container.name}", match.line
    )
    return cause, match.pattern.confidence, (quoted,)


def _services(crash: _Crash, match: LogMatch) -> tuple[ObjectRef, ...]:
    """The Service that a log names, where it is one of this cluster."""
    if match.pattern.word not in _DEPENDENCY or not match.subject:
        return ()
    host = match.subject.partition(":")[0]
    name, _, rest = host.partition(".")
    namespace = rest.partition(".")[0] or namespace_of(crash.pod)
    found = crash.view.get("Service", namespace, name) or crash.view.service_at(host)
    return (crash.view.ref(found),) if found else ()


def _node_memory(crash: _Crash) -> _Answer | None:
    """Killed without OOMKilled, while its node ran out of memory."""
    node = crash.view.get("Node", "", text(crash.pod, "spec", "nodeName"))
    if crash.code != _SIGKILL or node is None:
        return None
    events = crash.view.events_of(node, "SystemOOM", "OOMKilling")
    if not events:
        return None
    ref = crash.view.ref(node)
    cause = Cause(
        "node-out-of-memory",
        ref,
        f"node {ref.name} ran out of memory and killed processes",
        remedies=("raise-memory", "drain"),
    )
    return cause, 0.8, (_of_event(crash, events[-1], ref),)


def _exit_code(crash: _Crash) -> _Answer:
    """Nothing but the exit code speaks; the last line of the log is shown where there is one."""
    name, ref = crash.container.name, crash.ref
    log = crash.log()
    line = last_line(log[1]) if log else ""
    quoted = (evidence(Origin.LOG, ref, f"{log[0]} of container {name}", line),) if log else ()
    how = _UNTOLD if crash.code is None else ending(crash.code)
    cause = Cause(
        how.word,
        crash.workload,
        f"container {name}: {how.meaning}",
        key=name,
        remedies=how.remedies,
    )
    return cause, how.confidence, quoted


CHECKS = (Check("pod-crash", "containers that keep crashing", crashes, ("pods",), "Pod"),)
