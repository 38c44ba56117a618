"""Jobs that failed, and CronJobs that do not run."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import condition, flag, instant, mapping, name_of, text, whole
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Evidence, Severity

FAILED = "job-failed"
CRON = "cronjob"
_WHY: Final = {
    "BackoffLimitExceeded": (
        "backoff-limit",
        "its pods failed more often than backoffLimit allows",
    ),
    "DeadlineExceeded": ("job-deadline", "it ran longer than activeDeadlineSeconds"),
    "PodFailurePolicy": ("pod-failure-policy", "a pod failed in a way that its policy ends on"),
    "FailedIndexes": ("failed-indexes", "some of its indexes failed"),
    "MaxFailedIndexesExceeded": ("failed-indexes", "more indexes failed than it allows"),
}
_HUNG = timedelta(hours=24)
_IN_A_ROW = 3
_TROUBLE = ("FailedNeedsStart", "TooManyMissedTimes", "InvalidSchedule", "UnparseableSchedule")
_DOCS = ("https://kubernetes.io/docs/concepts/workloads/controllers/job/",)


def _failed(view: ClusterView) -> Iterator[Found]:
    for job in view.of("Job"):
        entry = condition(job, "Failed")
        if text(entry, "status") == "True" and not superseded(view, job):
            yield _failed_job(view, job)


def superseded(view: ClusterView, job: Object) -> bool:
    """Whether a later Job of the same CronJob succeeded: the failure is history."""
    owner = view.controller(job)
    parent = view.find(owner) if owner else None
    if parent is None:
        return False
    created = instant(job, "metadata", "creationTimestamp")
    last = instant(parent, "status", "lastSuccessfulTime")
    return bool(created and last and last > created)


def _failed_job(view: ClusterView, job: Object) -> Symptom:
    entry, ref = condition(job, "Failed"), view.ref(job)
    reason = text(entry, "reason")
    word, clause = _WHY.get(reason, ("job-failed", clean(text(entry, "message")) or "it failed"))
    when = instant(entry, "lastTransitionTime")
    return Symptom(
        check=FAILED,
        severity=Severity.HIGH,
        object=ref,
        path="status.conditions[Failed]",
        title=f"Job {name_of(job)} failed: {clause}",
        observed=clean(f"Failed: {reason} {text(entry, 'message')}"),
        expected="Complete",
        cause=Cause(word, view.top(job), f"job {name_of(job)}: {clause}", "", ("fix-job",)),
        evidence=tuple(_proof(view, job)),
        references=_DOCS,
        confidence=0.9,
        since=when,
    )


def _proof(view: ClusterView, job: Object) -> Iterator[Evidence]:
    ref, entry = view.ref(job), condition(job, "Failed")
    when = instant(entry, "lastTransitionTime")
    said = f"{text(entry, 'reason')}: {text(entry, 'message')}"
    yield evidence(Origin.STATUS, ref, "status.conditions[Failed]", said, when)
    failed = whole(job, "status", "failed")
    if failed is not None:
        limit = whole(job, "spec", "backoffLimit")
        allowed = f", backoffLimit {limit}" if limit is not None else ""
        yield evidence(Origin.STATUS, ref, "status.failed", f"{failed} pods failed{allowed}")
    for event in view.events_of(job)[-2:]:
        yield evidence(Origin.EVENT, ref, event.reason, event.message, event.last)


def _cron(view: ClusterView) -> Iterator[Found]:
    for cron in view.of("CronJob"):
        jobs = list(view.owned(cron, "Job"))
        for found in (_trouble(view, cron), _hung(view, cron, jobs), _row(view, cron, jobs)):
            if found is not None:
                yield found


def _trouble(view: ClusterView, cron: Object) -> Symptom | None:
    """The controller says that it cannot start the next run."""
    events = view.events_of(cron, *_TROUBLE)
    if not events or flag(cron, "spec", "suspend"):
        return None
    last, ref = events[-1], view.ref(cron)
    clause = clean(last.message, 160) or last.reason
    return Symptom(
        check=CRON,
        severity=Severity.HIGH,
        object=ref,
        path="spec.schedule",
        title=f"CronJob {name_of(cron)} does not start: {clause}",
        observed=clean(f"{last.reason}: {last.message}"),
        expected="runs at its schedule",
        cause=Cause("schedule-broken", ref, clause, "", ("fix-job",)),
        evidence=(
            evidence(Origin.EVENT, ref, last.reason, last.message, last.last),
            evidence(Origin.SPEC, ref, "spec.schedule", text(cron, "spec", "schedule")),
        ),
        references=_DOCS,
        confidence=0.9,
        since=last.first,
    )


def _hung(view: ClusterView, cron: Object, jobs: Sequence[Object]) -> Symptom | None:
    """With concurrencyPolicy Forbid a job that never ends keeps every later run away."""
    if text(cron, "spec", "concurrencyPolicy") != "Forbid":
        return None
    for job in jobs:
        started = instant(job, "status", "startTime")
        active = whole(job, "status", "active") or 0
        if not started or not active or view.now - started < _HUNG:
            continue
        ref, hours = view.ref(cron), round((view.now - started).total_seconds() / 3600)
        clause = f"job {name_of(job)} runs for {hours} hours and concurrencyPolicy is Forbid"
        return Symptom(
            check=CRON,
            severity=Severity.MEDIUM,
            object=ref,
            path="spec.concurrencyPolicy",
            title=f"CronJob {name_of(cron)} is blocked: {clause}",
            observed=f"active for {hours} h",
            expected="the last run ends before the next is due",
            cause=Cause("job-hung", view.ref(job), clause, "", ("fix-job",)),
            evidence=(
                evidence(Origin.STATUS, view.ref(job), "status.startTime", started.isoformat()),
                evidence(Origin.SPEC, ref, "spec.concurrencyPolicy", "Forbid"),
            ),
            references=_DOCS,
            since=started,
        )
    return None


def _row(view: ClusterView, cron: Object, jobs: Sequence[Object]) -> Symptom | None:
    """The last runs all failed, one after another."""
    ended = [job for job in jobs if _ended(job)]
    ended.sort(key=lambda job: (text(job, "metadata", "creationTimestamp"), name_of(job)))
    last = ended[-_IN_A_ROW:]
    if len(last) < _IN_A_ROW or any(text(condition(j, "Failed"), "status") != "True" for j in last):
        return None
    ref, names = view.ref(cron), ", ".join(name_of(job) for job in last)
    return Symptom(
        check=CRON,
        severity=Severity.HIGH,
        object=ref,
        path="status",
        title=f"CronJob {name_of(cron)} failed {_IN_A_ROW} times in a row",
        observed=names,
        expected="runs that complete",
        cause=Cause("cronjob-failing", ref, f"the last {_IN_A_ROW} runs failed", "", ("fix-job",)),
        evidence=tuple(
            evidence(
                Origin.STATUS,
                view.ref(job),
                "status.conditions[Failed]",
                text(condition(job, "Failed"), "reason"),
                instant(condition(job, "Failed"), "lastTransitionTime"),
            )
            for job in last
        ),
        references=_DOCS,
        since=instant(condition(last[0], "Failed"), "lastTransitionTime"),
    )


def _ended(job: Object) -> bool:
    done = mapping(condition(job, "Failed")) or mapping(condition(job, "Complete"))
    return text(done, "status") == "True"


CHECKS = (
    Check(FAILED, "jobs", _failed, ("jobs.batch",), "Job"),
    Check(CRON, "cron jobs", _cron, ("cronjobs.batch", "jobs.batch")),
)
