"""What the policy never lets through: protected objects, too many, too much of a workload. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import labels, whole
from engine.changes.policy.config import PROTECTED, ProtectedConfig
from engine.changes.policy.policy import Policy, labelled, matches, namespace_of, places
from engine.model.change import Change, Operation, Target, Verb
from engine.model.change_row import ChangeRow


@dataclass(frozen=True)
class Fact:
    """What is known of one object that a change touches.

    Attributes:
        labels: its own.
        workload: what its replicas belong to, in words; empty where it is no replica.
        replicas: how many that workload wants, None where it is not known.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    workload: str = ""
    replicas: int | None = None


def facts(view: ClusterView, change: Change) -> dict[str, Fact]:
    """Return what `view` knows of the objects that `change` touches, by uid of the target."""
    found: dict[str, Fact] = {}
    for one in (*change.operations, *change.rollback):
        obj = view.find(one.target.ref)
        if obj is not None and view.ref(obj).uid == one.target.uid:
            found[one.target.uid] = _fact(view, obj, one.target)
    return found


def _fact(view: ClusterView, obj: Object, target: Target) -> Fact:
    own = labels(obj, "metadata", "labels")
    if target.kind != "Pod":
        return Fact(own, str(target.ref), whole(obj, "spec", "replicas"))
    workload = view.workload(obj)
    if workload == view.ref(obj):
        return Fact(own)
    found = view.find(workload)
    wanted = None if found is None else whole(found, "spec", "replicas")
    return Fact(own, str(workload), len(view.pods_of(workload)) if wanted is None else wanted)


def refused(policy: Policy, row: ChangeRow, known: Mapping[str, Fact]) -> str:
    """Return why the policy never lets the change of `row` through, empty where it may.

    Args:
        policy: that in force.
        row: with the change worked out.
        known: what is known of the objects, see `facts`; one that is missing counts as protected
            as soon as the policy protects by label.
    """
    if row.change is None:
        return "the change is not worked out yet"
    return next(_refusals(policy, row, row.change, known), "")


def is_closed(policy: Policy, namespace: str) -> bool:
    """Whether nothing is ever changed in `namespace`; empty stands for none."""
    protected = policy.file.protected
    closed = [name for name in PROTECTED if name not in protected.opened]
    return bool(namespace) and matches(namespace, [*closed, *protected.namespaces])


def object_count(row: ChangeRow) -> int:
    """Return how many objects the change of `row` touches."""
    operations = () if row.change is None else row.change.operations
    return len({_identity(one.target) for one in operations})


def most_objects(policy: Policy, row: ChangeRow, *, approved: bool) -> int:
    """Return how many objects the change of `row` may touch, `approved` by people or not."""
    budgets = policy.file.budgets
    if not approved:
        return budgets.automatic_objects
    return budgets.templates.get(row.draft.template, budgets.approved_objects)


def _refusals(
    policy: Policy, row: ChangeRow, change: Change, known: Mapping[str, Fact]
) -> Iterator[str]:
    for cluster, _ in places(row):
        if policy.clusters is not None and cluster not in policy.clusters:
            yield f"cluster {cluster} is not in the configuration"
        if cluster != row.draft.target.cluster:
            yield f"it touches {cluster} beside {row.draft.target.cluster}"
    for one in (*change.operations, *change.rollback):
        if is_closed(policy, namespace_of(one.target)):
            yield f"namespace {namespace_of(one.target)} is protected"
        yield from _protected(policy.file.protected, one.target, known.get(one.target.uid))
    count, most = object_count(row), most_objects(policy, row, approved=True)
    if count > most:
        yield f"it touches {count} objects; the policy allows {most} in one change"
    yield from _replicas(change.operations, known, policy.file.budgets.replicas_percent)


def _protected(protected: ProtectedConfig, target: Target, fact: Fact | None) -> Iterator[str]:
    if protected.labels and target.uid and fact is None:
        yield f"the labels of {target.ref} are not known, so it may be protected"
    own = {} if fact is None else fact.labels
    for name, glob in protected.labels.items():
        if labelled(own, {name: glob}):
            yield f"{target.ref} is protected by its label {name}={own[name]}"


def _replicas(
    operations: Sequence[Operation], known: Mapping[str, Fact], percent: int
) -> Iterator[str]:
    """Tell of workloads that lose more than `percent` of their replicas in one wave.

    One replica may always go. How fast a roll-out replaces pods is the workload's own strategy.
    """
    taken: Counter[tuple[str, int]] = Counter()
    wanted: dict[str, int | None] = {}
    for one in operations:
        fact = known.get(one.target.uid, Fact())
        if fact.workload and (count := _taken(one)):
            taken[fact.workload, one.wave] += count
            wanted[fact.workload] = fact.replicas
    for (workload, wave), count in taken.items():
        replicas = wanted[workload]
        most = 1 if replicas is None else max(1, replicas * percent // 100)
        if count > most:
            of = "an unknown number of" if replicas is None else str(replicas)
            yield (
                f"it takes {count} of {of} replicas from {workload} at once (wave {wave}); "
                f"the policy allows {most}, {percent} %"
            )


def _taken(operation: Operation) -> int:
    """Return how many replicas `operation` takes away."""
    if operation.target.kind == "Pod" and operation.verb in {Verb.EVICT, Verb.DELETE}:
        return 1
    before, after = (
        whole(part, "spec", "replicas") for part in (operation.before, operation.after)
    )
    return max(0, before - after) if before is not None and after is not None else 0


def _identity(target: Target) -> tuple[str, ...]:
    return (target.cluster, target.api_version, target.kind, target.namespace, target.name)
