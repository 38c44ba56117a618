"""Autoscalers that cannot scale, and disruption budgets that block or protect nothing."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import (
    condition,
    instant,
    labels,
    mapping,
    mappings,
    name_of,
    namespace_of,
    text,
    whole,
)
from engine.analysis.selector import selects
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import ObjectRef, Severity

SCALER = "hpa"
BUDGET = "pdb"
_WRONG: Final = (
    ("ScalingActive", "False", "hpa-no-metric", Severity.MEDIUM, "fix-config"),
    ("AbleToScale", "False", "hpa-cannot-scale", Severity.MEDIUM, "fix-config"),
    ("ScalingLimited", "True", "hpa-at-maximum", Severity.MEDIUM, "raise-max-replicas"),
)
_SCALER_DOCS = ("https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/",)
_BUDGET_DOCS = ("https://kubernetes.io/docs/tasks/run-application/configure-pdb/",)


def _scalers(view: ClusterView) -> Iterator[Found]:
    for scaler in view.of("HorizontalPodAutoscaler"):
        target = _target(view, scaler)
        if target and view.missing(target.kind, target.namespace, target.name):
            yield _targetless(view, scaler, target)
            continue
        for kind, bad, word, severity, remedy in _WRONG:
            entry = condition(scaler, kind)
            if text(entry, "status") != bad or not _counts(scaler, kind, entry):
                continue
            yield _limited(view, scaler, kind, (word, severity, remedy))


def _target(view: ClusterView, scaler: Object) -> ObjectRef | None:
    wanted = mapping(scaler, "spec", "scaleTargetRef")
    kind, name = text(wanted, "kind"), text(wanted, "name")
    return view.named(kind, namespace_of(scaler), name) if kind and name else None


def _counts(scaler: Object, kind: str, entry: Any) -> bool:
    """Whether a condition is trouble: at the maximum it is, at the minimum it is not."""
    if kind == "ScalingLimited":
        wanted, most = (
            whole(scaler, "status", "desiredReplicas"),
            whole(scaler, "spec", "maxReplicas"),
        )
        return text(entry, "reason") == "TooManyReplicas" and wanted is not None and wanted == most
    return text(entry, "reason") != "ScalingDisabled"


def _targetless(view: ClusterView, scaler: Object, target: ObjectRef) -> Symptom:
    ref = view.ref(scaler)
    return Symptom(
        check=SCALER,
        severity=Severity.MEDIUM,
        object=ref,
        path="spec.scaleTargetRef",
        title=f"Autoscaler {name_of(scaler)} scales {target}, which does not exist",
        observed=str(target),
        expected="a workload that exists",
        cause=Cause("hpa-target-missing", ref, f"{target} does not exist", "", ("fix-reference",)),
        evidence=(
            evidence(Origin.SPEC, ref, "spec.scaleTargetRef", str(target)),
            evidence(Origin.ABSENCE, target, "", "not among the objects read"),
        ),
        references=_SCALER_DOCS,
        confidence=0.95,
    )


def _limited(
    view: ClusterView, scaler: Object, kind: str, what: tuple[str, Severity, str]
) -> Symptom:
    word, severity, remedy = what
    entry, ref = condition(scaler, kind), view.ref(scaler)
    said = clean(f"{text(entry, 'reason')}: {text(entry, 'message')}")
    proof = [evidence(Origin.STATUS, ref, f"status.conditions[{kind}]", said)]
    target = _target(view, scaler)
    found = view.find(target) if target else None
    without = _without_requests(found) if word == "hpa-no-metric" and found else ""
    if without and target:
        proof.append(evidence(Origin.SPEC, target, "containers[].resources.requests", without))
    counts = ", ".join(
        f"{name} {whole(scaler, *path)}"
        for name, path in (
            ("wanted", ("status", "desiredReplicas")),
            ("most allowed", ("spec", "maxReplicas")),
        )
        if whole(scaler, *path) is not None
    )
    if counts:
        proof.append(evidence(Origin.SPEC, ref, "replicas", counts))
    return Symptom(
        check=SCALER,
        severity=severity,
        object=ref,
        path=f"status.conditions[{kind}]",
        title=f"Autoscaler {name_of(scaler)} cannot scale: {without or said}",
        observed=said,
        expected="free to scale between its bounds",
        cause=Cause(word, ref, clean(without or said), "", (remedy,)),
        evidence=tuple(proof),
        references=_SCALER_DOCS,
        confidence=0.9,
        since=instant(entry, "lastTransitionTime"),
    )


def _without_requests(workload: Object) -> str:
    """Name the containers without requests: an autoscaler has no share of nothing."""
    names = [
        text(container, "name")
        for container in mappings(workload, "spec", "template", "spec", "containers")
        if not mapping(container, "resources", "requests")
    ]
    return clean(f"no resource requests on {', '.join(names)}") if names else ""


def _budgets(view: ClusterView) -> Iterator[Found]:
    covered: dict[ObjectRef, list[ObjectRef]] = defaultdict(list)
    for budget in view.of("PodDisruptionBudget"):
        pods = _protected(view, budget)
        for pod in pods:
            covered[view.workload(pod)].append(view.ref(budget))
        if pods and whole(budget, "status", "disruptionsAllowed") == 0:
            yield from _blocking(view, budget, len(pods))
        if not pods and not view.why_unread("pods") and mapping(budget, "spec", "selector"):
            yield _idle(view, budget)
    for workload, budgets in covered.items():
        several = sorted(set(map(str, budgets)))
        if len(several) > 1:
            yield _doubled(workload, several)


def _doubled(workload: ObjectRef, budgets: list[str]) -> Symptom:
    """Eviction of a pod with two budgets is always refused."""
    shown = clean(", ".join(budgets))
    return Symptom(
        check=BUDGET,
        severity=Severity.MEDIUM,
        object=workload,
        title=f"{workload} has {len(budgets)} disruption budgets: its pods cannot be evicted",
        observed=shown,
        expected="one budget",
        cause=Cause("pdb-doubled", workload, f"covered by {shown}", "", ("fix-config",)),
        evidence=(evidence(Origin.SPEC, workload, "disruption budgets", shown),),
        references=_BUDGET_DOCS,
        confidence=0.95,
    )


def _protected(view: ClusterView, budget: Object) -> list[Object]:
    selector = mapping(budget, "spec", "selector")
    exact = labels(selector, "matchLabels")
    near = (
        view.selected(namespace_of(budget), exact) if exact else view.pods_in(namespace_of(budget))
    )
    return [pod for pod in near if selects(selector, labels(pod, "metadata", "labels"))]


def _blocking(view: ClusterView, budget: Object, pods: int) -> Iterator[Found]:
    """A budget that allows nothing although every pod is healthy blocks every drain."""
    healthy = whole(budget, "status", "currentHealthy")
    expected = whole(budget, "status", "expectedPods")
    if healthy is None or expected is None or healthy < expected or expected == 0:
        return
    ref = view.ref(budget)
    shown = f"{healthy} of {expected} pods healthy, 0 disruptions allowed"
    yield Symptom(
        check=BUDGET,
        severity=Severity.LOW,
        object=ref,
        path="spec",
        title=f"Disruption budget {name_of(budget)} lets none of its {pods} pods go",
        observed=shown,
        expected="at least one disruption allowed while all pods are healthy",
        cause=Cause("pdb-blocks", ref, "it allows no disruption ever", "", ("fix-config",)),
        evidence=(evidence(Origin.STATUS, ref, "status.disruptionsAllowed", shown),),
        references=_BUDGET_DOCS,
        confidence=0.9,
    )


def _idle(view: ClusterView, budget: Object) -> Symptom:
    ref = view.ref(budget)
    return Symptom(
        check=BUDGET,
        severity=Severity.INFO,
        object=ref,
        path="spec.selector",
        title=f"Disruption budget {name_of(budget)} protects no pod",
        observed="0 pods selected",
        expected="a selector that matches the pods to protect",
        cause=Cause("pdb-idle", ref, "its selector matches no pod", "", ("fix-selector",)),
        evidence=(evidence(Origin.ABSENCE, ref, "selected pods", "0 pods"),),
        references=_BUDGET_DOCS,
        confidence=0.8,
    )


CHECKS = (
    Check(
        SCALER,
        "autoscalers",
        _scalers,
        ("horizontalpodautoscalers.autoscaling",),
        "HorizontalPodAutoscaler",
    ),
    Check(BUDGET, "disruption budgets", _budgets, ("poddisruptionbudgets.policy", "pods")),
)
