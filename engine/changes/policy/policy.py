"""The policy as it is in force, and what in it covers a change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Protocol

from engine.changes.policy.config import Clusters, PolicyConfig
from engine.model.change import Risk, Target
from engine.model.change_row import ChangeRow
from engine.model.report import ObjectRef
from engine.rules.rule import Interval


@dataclass(frozen=True)
class User:
    """A person of the policy; `slack` is (team id, user id), empty where there is none.

    `ends` is when that runs out by which they were recognised, None for never.
    """

    name: str
    groups: tuple[str, ...] = ()
    email: str = ""
    slack: tuple[str, str] = ("", "")
    subject: str = ""
    token_sha256: str = field(default="", repr=False)
    ends: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Place:
    """One cluster of the configuration, as policies choose it."""

    labels: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """A policy that was checked.

    Attributes:
        file: what it says.
        users: by name.
        clusters: those of the configuration, None where they are not known.
        digest: sha256 of the text that it was read from.
    """

    file: PolicyConfig
    users: Mapping[str, User]
    clusters: Mapping[str, Place] | None
    digest: str

    def intervals(self, names: Iterable[str]) -> list[Interval]:
        """Return the intervals of these names."""
        return [self.file.intervals[name] for name in names]

    def chooses(self, wanted: Clusters, cluster: str) -> bool:
        """Whether `wanted` holds for the cluster of this name."""
        place = (self.clusters or {}).get(cluster, Place())
        return (
            matches(cluster, wanted.names)
            and not matches(cluster, wanted.exclude)
            and (not wanted.groups or any(matches(one, wanted.groups) for one in place.groups))
            and labelled(place.labels, wanted.labels)
        )


class Scope(Protocol):
    """What entries of the policy that cover changes have in common."""

    @property
    def clusters(self) -> Clusters:
        """Return the clusters."""
        ...

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Return the namespaces, as globs."""
        ...

    @property
    def risks(self) -> tuple[Risk, ...]:
        """Return the risks."""
        ...


def covers(policy: Policy, scope: Scope, place: tuple[str, str], risk: Risk) -> bool:
    """Whether `scope` is about `risk` at `place`: cluster and namespace, empty for none."""
    cluster, namespace = place
    return (
        risk in scope.risks
        and matches(namespace, scope.namespaces)
        and policy.chooses(scope.clusters, cluster)
    )


def places(row: ChangeRow) -> list[tuple[str, str]]:
    """Return (cluster, namespace) of all that the change touches, in order, once each.

    A namespace itself lies in the namespace of its name.
    """
    targets: list[ObjectRef | Target] = [row.draft.target]
    if row.change is not None:
        targets += [one.target for one in (*row.change.operations, *row.change.rollback)]
    return list(dict.fromkeys((one.cluster, namespace_of(one)) for one in targets))


def namespace_of(target: ObjectRef | Target) -> str:
    """Return the namespace in which `target` lies, or that it is; empty where it lies in none."""
    return target.name if target.kind == "Namespace" else target.namespace


def matches(text: str, globs: Iterable[str]) -> bool:
    """Whether `text` is one of `globs`."""
    return any(fnmatchcase(text, glob) for glob in globs)


def labelled(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether `labels` has all of `wanted`, whose values are globs."""
    return all(name in labels and fnmatchcase(labels[name], glob) for name, glob in wanted.items())
