"""Words and tones for the values of a report: one place for every rendering."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from engine.model.change import Risk
from engine.model.change_state import ChangeState
from engine.model.instant import MICROS, format_duration, to_us
from engine.model.report import ObjectRef, Outcome, Report
from engine.report.outline import Line, Span, Tone, code, dim, joined, plain

OUTCOMES = {
    Outcome.OK: (Tone.GOOD, "Nothing is wrong"),
    Outcome.FINDINGS: (Tone.HIGH, "Found what is wrong"),
    Outcome.PARTIAL: (Tone.UNKNOWN, "Assessed in part"),
    Outcome.FAILED: (Tone.CRITICAL, "The mission failed"),
    Outcome.UNVERIFIED: (Tone.CRITICAL, "A change could not be verified"),
    Outcome.SKIPPED: (Tone.UNKNOWN, "The mission was skipped"),
}
RISKS = {"low": Tone.GOOD, "medium": Tone.MEDIUM, "high": Tone.CRITICAL}
RISK_ORDER = tuple(RISKS)
UNDO = {"yes": "can be undone", "partly": "can be undone in part", "no": "cannot be undone"}
CHANGE_RISKS = {
    Risk.SAFE: (Tone.GOOD, "nothing that runs is disturbed"),
    Risk.DISRUPTIVE: (Tone.MEDIUM, "what runs is restarted or moved"),
    Risk.DESTRUCTIVE: (Tone.CRITICAL, "something is deleted"),
    Risk.LOCKOUT: (Tone.CRITICAL, "it can lock people or parts out"),
}
_UNTOUCHED = "nothing was changed"
CHANGE_STATES = {
    ChangeState.DRAFT: (Tone.INFO, "being worked out", ""),
    ChangeState.PROPOSED: (Tone.INFO, "proposed", "it was worked out; nobody is asked"),
    ChangeState.AWAITING: (Tone.MEDIUM, "waits for a decision", ""),
    ChangeState.APPROVED: (Tone.INFO, "approved", "it is applied as soon as nothing holds it back"),
    ChangeState.PRECHECKING: (Tone.INFO, "being checked", ""),
    ChangeState.DRY_RUN_OK: (Tone.INFO, "about to be applied", ""),
    ChangeState.APPLYING: (Tone.INFO, "being applied", ""),
    ChangeState.VERIFYING: (Tone.INFO, "being verified", "it was applied; its checks go on"),
    ChangeState.VERIFIED: (Tone.GOOD, "verified", "it was applied, and every check held"),
    ChangeState.REJECTED: (Tone.INFO, "denied", _UNTOUCHED),
    ChangeState.EXPIRED: (Tone.MEDIUM, "expired", f"no decision came in time; {_UNTOUCHED}"),
    ChangeState.SUPERSEDED: (
        Tone.MEDIUM,
        "superseded",
        f"what was shown is not what would be done now; {_UNTOUCHED}",
    ),
    ChangeState.PRECHECK_FAILED: (
        Tone.MEDIUM,
        "stopped by a check",
        f"a check right before said no; {_UNTOUCHED}",
    ),
    ChangeState.DRY_RUN_FAILED: (
        Tone.MEDIUM,
        "refused by the server",
        f"the dry run was refused; {_UNTOUCHED}",
    ),
    ChangeState.CONFLICT: (
        Tone.MEDIUM,
        "stopped by a conflict",
        f"somebody else manages what it would write; {_UNTOUCHED}",
    ),
    ChangeState.VERIFY_FAILED: (Tone.HIGH, "not verified", "it was applied, and a check failed"),
    ChangeState.ROLLING_BACK: (Tone.HIGH, "being rolled back", ""),
    ChangeState.ROLLED_BACK: (
        Tone.HIGH,
        "rolled back",
        "it did not help, and all of it was taken back",
    ),
    ChangeState.NEEDS_HUMAN: (
        Tone.CRITICAL,
        "needs a person",
        "dogwatch stopped and cannot go on by itself; below is what stood before and after",
    ),
}
"""Tone, state in words, and what that means; no meaning where the words say it."""
PROBES = {
    "equal": "the objects are as they were written",
    "rollout": "the roll-out completes",
    "finding": "what was found is gone",
    "no-new-critical": "nothing critical is new",
    "no-new-warnings": "there are no new Warning events",
    "gone": "the evicted pods are gone",
    "node-ready": "the node is ready",
    "drained": "no pod is left to move",
    "wave": "a wave before is verified",
}
"""Checks of a verification in words; one that is not here is told by its name."""
HOLDS = {
    True: Span("✓", tone=Tone.GOOD),
    False: Span("✗", tone=Tone.CRITICAL),
    None: Span("?", tone=Tone.UNKNOWN),
}
FIRED_BY = {
    "threshold": "the condition was met",
    "hold": "the condition held for as long as the rule asks",
    "storm": "more keys than the rule may have, told as one",
    "sequence": "the steps came as the rule says, or the last one stayed away",
    "absent": "nothing was heard of it for as long as the rule allows",
    "schedule": "the condition was met at an instant of the schedule",
    "no data": "no data came any more, which the rule takes for a fault",
}
ENDED_BY = {
    "cleared": "the condition no longer holds",
    "deleted": "the last that met the condition is gone or over",
    "no data": "no data came any more: the end is assumed, not measured",
    "rule changed": "the rule was changed; nothing proves that the cause is gone",
    "rule removed": "the rule was removed; nothing proves that the cause is gone",
    "cluster left": "the cluster is watched no longer; nothing proves that the cause is gone",
    "cluster renamed": "the cluster has another name now, under which all is told anew",
    "cluster re-created": "the cluster was made anew; nothing is known of the one before",
    "inhibited": "another rule holds it back; nothing proves that the cause is gone",
}
_SEVERITY_TONES = {
    "critical": Tone.CRITICAL,
    "page": Tone.CRITICAL,
    "error": Tone.HIGH,
    "high": Tone.HIGH,
    "warning": Tone.MEDIUM,
    "medium": Tone.MEDIUM,
    "low": Tone.LOW,
}


def tone_of(severity: str) -> Tone:
    """Return the tone of a severity label; a word that is not known is informational."""
    return _SEVERITY_TONES.get(severity.lower(), Tone.INFO)


def counted(count: int, one: str, many: str = "") -> str:
    """Return `3 pods`, `1 pod`; `many` where an s does not make the plural."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def instant(at: datetime) -> str:
    """Return `at` to the second, in UTC, for a person."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def lasted(start: datetime, end: datetime) -> str:
    """Return how long it is from `start` to `end`: whole seconds from one second on."""
    us = max(0, (end - start) // timedelta(microseconds=1))
    step = MICROS if us >= MICROS else MICROS // 1000
    return format_duration(us // step * step)


def named(obj: ObjectRef) -> Line:
    """Return kind, place and name of `obj`; the cluster stands apart where it matters."""
    place = f"{obj.namespace}/" if obj.namespace else ""
    return (plain(f"{obj.kind} "), code(f"{place}{obj.name}"))


def placed_in(obj: ObjectRef) -> Line:
    """Return `obj` with its cluster, where one is known."""
    return (*named(obj), *((plain(" in "), code(obj.cluster)) if obj.cluster else ()))


def percent(value: float) -> str:
    """Return `value` of [0, 1] in whole percent."""
    return f"{value:.0%}"


def measured(value: Mapping[str, Any]) -> Line:
    """Return `name = value` pairs in order of name."""
    shown = ", ".join(f"{name} = {_number(value[name])}" for name in sorted(value))
    return (code(shown),) if shown else ()


def placed(group: Mapping[str, str]) -> Line:
    """Return the group key: name and value, those that are filled."""
    filled = ((name, value) for name, value in group.items() if value)
    return joined(((dim(f"{name} "), code(value)) for name, value in filled), " · ")


def tally(report: Report) -> Line:
    """Return how the mission ran, as an aside: checks, time, duration.

    A snapshot that says no time is assessed at the epoch: neither that nor a duration of
    nothing tells a person anything.
    """
    cover = report.coverage
    parts = [f"{cover.answered} of {counted(cover.possible, 'check')} answered"]
    if to_us(report.finished):
        parts.append(instant(report.finished))
        if report.finished - report.started >= timedelta(milliseconds=1):
            parts.append(f"took {lasted(report.started, report.finished)}")
    return (dim(" · ".join(parts)),)


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
