"""What the data of each signal type holds. Watchers fill it; rules are checked against it.

The tables of fields are in engine.model.schema_objects and engine.model.schema_devices; the
page docs/signals.md is made of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from engine.model.field import Field, Fields, SignalShape
from engine.model.schema_devices import (
    CERTIFICATE,
    DEVICE,
    DEVICES,
    DRIFT,
    VERSIONED,
    VERSIONS,
)
from engine.model.schema_objects import KINDS, MARKS, OBJECT
from engine.model.signal import HEARTBEAT, NEWS, ROSTER

_ABOUT: Final[Fields] = {
    "namespace": Field("string", "namespace of what it is about"),
    "kind": Field("string", "kind of what it is about"),
    "name": Field("string", "name of what it is about"),
    "workload": Field("string", "topmost owner of it, else its name"),
    "node": Field("string", "node of it"),
}
_EVENT: Final[Fields] = {
    **_ABOUT,
    "workloadKind": Field("string", "kind of that owner"),
    "reason": Field("string", "reason, such as FailedScheduling"),
    "eventType": Field("string", "Normal or Warning"),
    "message": Field("string", "what happened, in words"),
    "count": Field("int", "how often so far; a growing count is that many occurrences", "times"),
    "uid": Field("string", "uid of the Event"),
    "component": Field("string", "who reports it"),
    "lastTime": Field("string", "when it last happened", "RFC 3339"),
    "change": Field("string", "added, modified, or synced (listed after a start)"),
    **MARKS,
}
_METRIC: Final[Fields] = {
    "metric": Field("string", "name of the metric"),
    "labels": Field("map(string)", "labels of the series"),
    "value": Field("double", "the sample; a gap is no signal, never a zero"),
    "unit": Field("string", "unit of the value"),
    "node": Field("string", "node that the series is about, where it is about one"),
    "namespace": Field("string", "namespace that it is about"),
    "workload": Field("string", "workload that it is about"),
}
_ALERT: Final[Fields] = {
    **_ABOUT,
    "alert": Field("string", "name of the alert"),
    "status": Field("string", "firing or resolved"),
    "severity": Field("string", "severity by its sender"),
    "labels": Field("map(string)", "labels of the alert"),
    "annotations": Field("map(string)", "annotations of the alert"),
    "startsAt": Field("string", "since when it fires", "RFC 3339"),
    "fingerprint": Field("string", "identity of the alert by its sender"),
    "endsAt": Field("string", "until when it fired", "RFC 3339"),
    "message": Field("string", "what happened, in words"),
    "url": Field("string", "page of its sender about what it was computed from"),
    "receiver": Field("string", "receiver of the Alertmanager that sent it"),
}
_AUDIT: Final[Fields] = {
    **_ABOUT,
    "verb": Field("string", "get, list, create, delete ..."),
    "apiGroup": Field("string", "group of the resource"),
    "resource": Field("string", "resource, such as pods"),
    "subresource": Field("string", "subresource, such as exec"),
    "user": Field("string", "who asked"),
    "impersonated": Field("string", "as whom, where that is somebody else"),
    "groups": Field("list(string)", "groups of that user"),
    "userAgent": Field("string", "client that asked"),
    "sourceAddress": Field("string", "address that it came from"),
    "code": Field("int", "status of the answer"),
    "allowed": Field("bool", "it was permitted"),
    "deprecated": Field("bool", "the API that was used is deprecated"),
    "stage": Field("string", "how far it was: ResponseComplete, or Panic"),
    "requestTime": Field("string", "when it came", "RFC 3339"),
    **MARKS,
}
_PREDICTION: Final[Fields] = {
    **_ABOUT,
    "prediction": Field("string", "pod-crash, node-pressure, gpu-exhaustion or anomaly"),
    "metric": Field("string", "what it was computed from"),
    "labels": Field("map(string)", "labels of that series"),
    "value": Field("double", "latest value"),
    "limit": Field("double", "value that is going to be reached"),
    "horizon": Field("double", "time until then", "seconds"),
    "confidence": Field(
        "double",
        "how often what is told like this comes true, of [0, 1]; at most 0.7 before two days were "
        "seen",
        "ratio",
    ),
    "score": Field("double", "robust z-score of the latest value"),
    "slope": Field("double", "robust slope of the last hours, in units of the value", "1/s"),
    "message": Field("string", "the prediction in words"),
}
_WATCHER: Final[Fields] = {
    "watcher": Field("string", "the watcher; cluster: the cluster as a whole"),
    "resource": Field("string", "what it reads, such as pods; empty: all of it"),
    "state": Field("string", "ok, or unread"),
    "reason": Field("string", "first word of why: forbidden, not-found, unreachable ..."),
    "message": Field("string", "why it can not be read, in words"),
}
_CONDITION: Final[Fields] = {
    "rule": Field("string", "name of the rule; watcher-silent: a watcher sends no heartbeat"),
    "hash": Field("string", "identity of the rule as it is now; empty: there is no such rule"),
    "state": Field("string", "firing, resolved, degraded (the rule fails) or healthy"),
    "firing": Field("string", "id of the firing"),
    "key": Field("map(string)", "its group key"),
    "cluster": Field("string", "cluster that it is about"),
    **_ABOUT,
    "labels": Field("map(string)", "labels of the rule"),
    "reason": Field("string", "why it opened or closed; the error of a degraded rule"),
    "value": Field("dyn", "measures of the rule by name"),
    "members": Field("list(string)", "objects or series that made it true"),
    "shadow": Field("bool", "the rule is in shadow mode"),
    "depth": MARKS["depth"],
}
_MISSION: Final[Fields] = {
    "mission": Field("string", "id of the mission"),
    "kind": Field("string", "kind of the mission"),
    "outcome": Field("string", "ok, findings, partial, failed, unverified, skipped or cancelled"),
    "verified": Field("bool", "all is well, or all that it changed was verified"),
    "next": Field("dyn", "what it offers to run next: a list of {kind, reason, params}"),
    "rule": Field("string", "rule that started it; empty: a person"),
    "firing": Field("string", "firing that started it"),
    "cluster": Field("string", "cluster that it was about"),
    "namespace": Field("string", "namespace that it was about"),
    "workload": Field("string", "workload that it was about"),
    "summary": Field("string", "its result in words"),
    "depth": MARKS["depth"],
}
_FLEET: Final[Fields] = {
    "uid": Field("string", "uid of its namespace kube-system, where that could be read"),
    "uidBefore": Field("string", "that uid before, where a cluster was made anew under its name"),
    "before": Field("string", "its name before, where it was renamed"),
    "server": Field("string", "address of its API server, where it was found by discovery"),
    "source": Field("string", "where it was found: configured, or the type of the discovery"),
}
_CLUSTER: Final[Fields] = {
    "cluster": Field("string", "name of the cluster"),
    "change": Field("string", "joined, left or renamed"),
    **_FLEET,
}
_NEWS: Final[Fields] = {
    "change": Field("string", "joined, recreated, renamed, left, or moved (to its new name)"),
    **_FLEET,
    "after": Field("string", "its name from now on, where it moved"),
}
_ROSTER: Final[Fields] = {
    "watchers": Field("list(string)", "the watchers that run from now on; others are forgotten"),
}

SIGNALS: Final[Mapping[str, SignalShape]] = {
    "k8s.object": SignalShape(
        "An object of a cluster as it is now.",
        "watcher `objects`",
        OBJECT,
        "uid, else kind, namespace and name",
        KINDS,
        open=True,
    ),
    "k8s.event": SignalShape("An Event about an object.", "watcher `events`", _EVENT),
    "metric": SignalShape(
        "A sample of a series.",
        "watcher `metrics`, or any sender of CloudEvents",
        _METRIC,
        "metric and labels",
    ),
    "hardware": SignalShape(
        "A device of a node as it is now.",
        "watchers `gpu` and `devices`, and the agents of nodes",
        DEVICE,
        "uid, kind and name, for each sender",
        DEVICES,
    ),
    "certificate": SignalShape(
        "A certificate that is in use.",
        "watcher `certificates`",
        CERTIFICATE,
        "uid, kind, namespace and name, for each sender",
    ),
    "drift": SignalShape(
        "An object beside its desired state.",
        "watcher `drift`",
        DRIFT,
        "uid, kind, namespace and name, for each sender",
    ),
    "version": SignalShape(
        "A version that is installed or used.",
        "watcher `versions`",
        VERSIONED,
        "kind, namespace and name, for each sender",
        VERSIONS,
    ),
    "alert": SignalShape(
        "An alert of another system.",
        "receivers `alertmanager` and `console-alert`, or any sender of CloudEvents",
        _ALERT,
        open=True,
    ),
    "audit": SignalShape("A request to an API server.", "watcher or receiver `audit`", _AUDIT),
    "prediction": SignalShape(
        "What will happen if it goes on like this.",
        "watcher `predictions`",
        _PREDICTION,
    ),
    "watcher": SignalShape(
        "Whether a watcher can read what it should.",
        "every watcher of a cluster",
        _WATCHER,
        "sender and subject",
    ),
    "condition": SignalShape(
        "A firing that opened or closed, or a rule that fails: second stage.",
        "the evaluator",
        _CONDITION,
        "firing",
    ),
    "mission": SignalShape("A mission that ended: second stage.", "the engine", _MISSION),
    "cluster": SignalShape(
        "A cluster that came, went or has another name: second stage.", "the evaluator", _CLUSTER
    ),
    "clock": SignalShape("It is later now: second stage, every 5 s.", "the engine", {}),
    HEARTBEAT: SignalShape(
        "Everything up to its time was sent: moves stream time, every 5 s.",
        "every watcher of a cluster",
        {},
    ),
    ROSTER: SignalShape(
        "Which watchers run: no longer waits for others. No rule sees it.",
        "every cluster that is watched, at each start",
        _ROSTER,
    ),
    NEWS: SignalShape(
        "A cluster came or went: begins and ends what is known of it. No rule sees it.",
        "the fleet",
        _NEWS,
    ),
}
"""Every signal type by name."""


@dataclass(frozen=True)
class DataShape:
    """Type words by field of `data`; an open one may hold more than is listed."""

    fields: Mapping[str, str]
    open: bool = False


def data_shape(type_: str, kinds: Iterable[str] = ()) -> DataShape:
    """Return what the data of signals of `type_` may hold, for those of any of `kinds`.

    Kinds may be globs; none means every kind that is listed. A kind that is not listed leaves
    the shape open, as does a type without a table; a field that differs in type between kinds
    is dyn.
    """
    shape = SIGNALS.get(type_)
    if shape is None:
        return DataShape({}, open=True)
    words = {name: field.type for name, field in shape.fields.items()}
    if not shape.kinds:
        return DataShape(words, shape.open)
    named = [matching_kinds(kind, type_) for kind in kinds] or [tuple(shape.kinds)]
    for name in (name for names in named for name in names):
        for field, entry in shape.kinds[name].items():
            words[field] = entry.type if words.get(field, entry.type) == entry.type else "dyn"
    return DataShape(words, open=shape.open and not all(named))


def matching_kinds(glob: str, type_: str = "k8s.object") -> tuple[str, ...]:
    """Return the kinds of signals of `type_` that `glob` matches among those that are listed."""
    return tuple(name for name in SIGNALS[type_].kinds if fnmatchcase(name, glob))
