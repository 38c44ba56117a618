"""Look: what a mission kind says of one cluster, read anew."""

from dataclasses import dataclass

from engine.analysis.cluster_view import ClusterView


@dataclass(frozen=True)
class Look:
    """One assessment.

    Attributes:
        view: the cluster as it was read.
        findings: ids of the findings that fail.
        critical: those among them that are critical.
        assessed: whether everything that the kind checks could be told.
        why: what could not, where it is false.
    """

    view: ClusterView
    findings: frozenset[str]
    critical: frozenset[str]
    assessed: bool
    why: str = ""
