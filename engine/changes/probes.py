"""Probes: what must hold after a change. Each answers yes, no or unknown, and says why.

An unknown is never a pass. A probe judges what is there now; how long it must hold is the
caller's affair.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from engine.analysis.cluster_view import Object
from engine.analysis.event import Event
from engine.analysis.field import condition, instant, text
from engine.analysis.pod import is_ready
from engine.analysis.resource import RESOURCE_OF
from engine.analysis.text import clean
from engine.changes.diff import normalised, sentences
from engine.changes.look import Look
from engine.changes.merge import apply_patch, same
from engine.changes.rollout import complete
from engine.changes.templates.drain import leaving
from engine.model.change import Change, Operation, ProbeResult, Verb
from engine.model.report import ObjectRef

Holds: TypeAlias = tuple[bool | None, str]
"""(yes, no or unknown, why)."""

_REMOVES: Final = frozenset({Verb.EVICT, Verb.DELETE})
_SHOWN: Final = 3


@dataclass(frozen=True)
class Seen:
    """What was read to judge a change by.

    Attributes:
        look: the mission's own assessment, made anew.
        live: uid -> object as it is now; None: it is gone, or another one has its name; a uid
            that is not there could not be read.
        change: what was done.
        applied: numbers of the operations that were done so far.
        since: when the last of them was done, by the clock of the server, aware UTC.
    """

    look: Look
    live: Mapping[str, Mapping[str, Any] | None]
    change: Change
    applied: tuple[int, ...]
    since: datetime

    @property
    def done(self) -> list[Operation]:
        """The operations that were done so far."""
        return [self.change.operations[number] for number in self.applied]


def judge(seen: Seen) -> tuple[ProbeResult, ...]:
    """Return what each probe of the change says now, in order; an unknown probe is unknown."""
    results = []
    for probe in seen.change.probes:
        run = PROBES.get(probe.name)
        holds, why = run(seen, probe.args) if run else (None, "there is no such probe")
        at = seen.look.view.now
        results.append(ProbeResult(name=probe.name, holds=holds, why=clean(why), at=at))
    return tuple(results)


def _equal(seen: Seen, args: Mapping[str, Any]) -> Holds:  # noqa: ARG001 - the form of all probes
    """Every field that was changed is as the dry run had answered."""
    stays = [one for one in seen.done if one.verb not in _REMOVES]
    for one in stays:
        if one.target.uid not in seen.live:
            return None, f"{one.target.ref} could not be read"
        live = seen.live[one.target.uid]
        if live is None:
            return False, f"{one.target.ref} is gone"
        plain = normalised(live)
        meant = apply_patch(plain, one.after)
        if not same(plain, meant):
            return (
                False,
                f"{one.target.ref} was changed again: {'; '.join(sentences(meant, plain))}",
            )
    return True, f"{len(stays)} objects are as they were meant to be"


def _gone(seen: Seen, args: Mapping[str, Any]) -> Holds:  # noqa: ARG001 - the form of all probes
    """Every pod that was evicted is gone: a blocked eviction is no success."""
    removed = [one for one in seen.done if one.verb in _REMOVES]
    unread = [str(one.target.ref) for one in removed if one.target.uid not in seen.live]
    left = [str(one.target.ref) for one in removed if seen.live.get(one.target.uid) is not None]
    if left:
        return False, f"still there: {', '.join(left[:_SHOWN])}"
    if unread:
        return None, f"could not be read: {', '.join(unread[:_SHOWN])}"
    return True, f"{len(removed)} objects are gone"


def _rollout(seen: Seen, args: Mapping[str, Any]) -> Holds:
    """The roll-out of a workload is complete: observed, updated, ready, available."""
    found = _found(seen, args)
    return complete(found) if isinstance(found, Mapping) else found


def _node_ready(seen: Seen, args: Mapping[str, Any]) -> Holds:
    """The node says that it is Ready."""
    node = _found(seen, args)
    if not isinstance(node, Mapping):
        return node
    said = text(condition(node, "Ready"), "status")
    if not said:
        return None, "the node does not say whether it is ready"
    return said == "True", f"Ready is {said}"


def _drained(seen: Seen, args: Mapping[str, Any]) -> Holds:
    """No pod is left on a node but those of later waves, of DaemonSets and static ones."""
    view = seen.look.view
    why = view.why_unread("pods")
    if why:
        return None, why
    done = set(seen.applied)
    later = {one.target.uid for n, one in enumerate(seen.change.operations) if n not in done}
    here = [view.ref(pod) for pod in leaving(view, str(args.get("name", "")))]
    left = [ref for ref in here if ref.uid not in later]
    if left:
        return False, f"still on it: {', '.join(map(str, left[:_SHOWN]))}"
    return True, f"{len(here)} pods wait for a later wave" if here else "nothing is left on it"


def _finding(seen: Seen, args: Mapping[str, Any]) -> Holds:
    """The mission's own check does not find any more what the change was proposed for."""
    wanted = args.get("ids")
    ids = [one for one in wanted if isinstance(one, str)] if isinstance(wanted, list) else []
    left = [one for one in ids if one in seen.look.findings]
    if left:
        return False, f"{len(left)} of {len(ids)} findings are still there"
    if not seen.look.assessed:
        return None, f"not everything could be assessed: {seen.look.why}"
    return True, f"none of {len(ids)} findings is there any more"


def _no_new_critical(seen: Seen, args: Mapping[str, Any]) -> Holds:  # noqa: ARG001 - the form of all probes
    """Nothing critical was found that was not there before.

    While a roll-out is on, a Service may be without pods for a moment: that is not known yet.
    """
    new = sorted(seen.look.critical - set(seen.change.critical))
    if new:
        told = f"new critical findings: {', '.join(new[:_SHOWN])}"
        rolling = any(
            probe.name == "rollout" and _rollout(seen, probe.args)[0] is not True
            for probe in seen.change.probes
        )
        return (None, f"{told}, while the roll-out is on") if rolling else (False, told)
    if not seen.look.assessed:
        return None, f"not everything could be assessed: {seen.look.why}"
    return True, "no new critical finding"


def _no_new_warnings(seen: Seen, args: Mapping[str, Any]) -> Holds:  # noqa: ARG001 - the form of all probes
    """No Warning event came since about what was changed, or about its pods.

    What a pod had to say before it became ready belongs to its start. Events tell seconds
    only: one of the very second of the change counts as older.
    """
    view = seen.look.view
    why = view.why_unread("events") or view.why_unread("pods")
    if why:
        return None, why
    since = seen.since.replace(microsecond=0)
    told = [
        f"{view.ref(obj)}: {event.reason}: {event.message}"
        for obj in _concerned(seen)
        for event in view.events_of(obj)
        if event.warning and event.last and event.last > since and not _starting(obj, event)
    ]
    if told:
        return False, f"{len(told)} new warnings, such as {clean(told[-1], 160)}"
    return True, "no new warning"


def _concerned(seen: Seen) -> list[Object]:
    """The objects that were changed, with their pods; for an evicted pod its workload's."""
    view = seen.look.view
    found: dict[int, Object] = {}
    for one in seen.done:
        obj = view.find(one.target.ref)
        own = [obj, *view.owned(obj, "ReplicaSet")] if obj is not None else []
        for each in [*own, *view.pods_of(one.target.ref)]:
            found[id(each)] = each
    for probe in seen.change.probes:
        if probe.name == "rollout":
            for pod in view.pods_of(_ref(seen, probe.args)):
                found[id(pod)] = pod
    return list(found.values())


def _starting(obj: Object, event: Event) -> bool:
    """Whether a pod is ready now, and was not yet when it had that to say."""
    since = instant(condition(obj, "Ready"), "lastTransitionTime")
    return (
        text(obj, "kind") == "Pod"
        and is_ready(obj)
        and since is not None
        and event.last is not None
        and event.last <= since
    )


def _ref(seen: Seen, args: Mapping[str, Any]) -> ObjectRef:
    said = {key: text(args, key) for key in ("kind", "namespace", "name")}
    return ObjectRef(cluster=seen.look.view.name, **said)


def _found(seen: Seen, args: Mapping[str, Any]) -> Object | Holds:
    """Return the object that a probe names, or why there is none."""
    view, ref = seen.look.view, _ref(seen, args)
    obj = view.find(ref)
    if obj is not None:
        return obj
    resource = RESOURCE_OF.get(ref.kind)
    why = view.why_unread(resource) if resource else f"{ref.kind} is not read"
    return (None, f"{ref}: {why}") if why else (False, f"{ref} is gone")


PROBES: Final[Mapping[str, Callable[[Seen, Mapping[str, Any]], Holds]]] = {
    "equal": _equal,
    "gone": _gone,
    "rollout": _rollout,
    "node-ready": _node_ready,
    "drained": _drained,
    "finding": _finding,
    "no-new-critical": _no_new_critical,
    "no-new-warnings": _no_new_warnings,
}

HARD: Final = frozenset({"equal", "no-new-critical"})
"""Probes whose `no` does not pass with time: roll back at once."""
