"""Run every check over one cluster: symptoms, unknowns, and how many checks gave an answer."""

from collections import Counter
from dataclasses import dataclass

from engine.analysis.cluster_view import ClusterView
from engine.analysis.field import mapping
from engine.analysis.symptom import Check, Symptom
from engine.model.report import Unknown

_NO_OBJECT = "there is no such object among these manifests"
_NO_STATUS = "these manifests carry no status: they say what is wanted, not what is"


@dataclass(frozen=True)
class Assessment:
    """What the checks said of one cluster; symptoms in the order of checks, then of the view."""

    view: ClusterView
    symptoms: tuple[Symptom, ...]
    unknowns: tuple[Unknown, ...]
    answered: int
    possible: int

    @property
    def unreadable(self) -> bool:
        """Whether nothing at all could be read of the cluster."""
        return "cluster" in self.view.snapshot.unread


def assess(view: ClusterView, checks: tuple[Check, ...]) -> Assessment:
    """Return what `checks` say of the cluster; a check that could not look is unknown."""
    if "cluster" in view.snapshot.unread:
        whole = view.unknown("the whole cluster", view.snapshot.unread["cluster"])
        return Assessment(view, (), (whole,), 0, len(checks))
    symptoms: list[Symptom] = []
    unknowns: list[Unknown] = _unread(view)
    answered = 0
    for check in checks:
        reason = _unable(view, check)
        if reason:
            unknowns.append(view.unknown(check.title, reason))
            continue
        found = list(check.run(view))
        symptoms += [item for item in found if isinstance(item, Symptom)]
        unsure = [item for item in found if isinstance(item, Unknown)]
        unknowns += unsure
        answered += not unsure
    return Assessment(view, tuple(symptoms), tuple(unknowns), answered, len(checks))


def _unable(view: ClusterView, check: Check) -> str:
    """Why a check can say nothing of this cluster, empty where it can."""
    if view.snapshot.read is not None:
        unread = [f"{r}: {view.why_unread(r)}" for r in check.reads if view.why_unread(r)]
        return "; ".join(unread)
    kind = check.status_of
    if kind and not any(mapping(obj, "status") for obj in view.of(kind)):
        return _NO_STATUS if view.of(kind) else _NO_OBJECT
    return ""


def _unread(view: ClusterView) -> list[Unknown]:
    """What was to be read and was not, and what was read and is no object."""
    logs: Counter[str] = Counter()
    found: list[Unknown] = []
    for what, why in sorted(view.snapshot.unread.items()):
        if what.startswith(("log of ", "previous log of ")):
            logs[why] += 1
        else:
            found.append(view.unknown(what, why))
    found += [view.unknown(f"{count} logs of containers", why) for why, count in logs.items()]
    if view.nameless:
        count = view.nameless
        found.append(view.unknown(f"{count} entries of the snapshot", "without a kind or a name"))
    return found
