"""How far a mission could read: one word a cluster, and which rights the reader lacks. Pure."""

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal, TypeAlias

from engine.model.report import Report, Unknown
from engine.model.snapshot import ClusterSnapshot, Snapshot

Reach: TypeAlias = Literal["ok", "partial", "unreachable", "forbidden"]

_FORBIDDEN: Final = "forbidden"
_LOG: Final = re.compile(r"(previous )?log of ")
_WHOLE: Final = "cluster"


def with_reach(report: Report, snapshot: Snapshot) -> Report:
    """Return `report` with what it stands on: digests, how far each cluster was read, and why."""
    unknowns = [*report.coverage.unknowns, *lacking(snapshot)]
    return report.model_copy(
        update={
            "clusters": {name: one.digest() for name, one in snapshot.clusters.items()},
            "per_cluster": reached(snapshot),
            "coverage": report.coverage.model_copy(update={"unknowns": unknowns}),
        }
    )


def reached(snapshot: Snapshot) -> dict[str, Reach]:
    """Return for each cluster whether it was read: whole, in part, or why not at all."""
    return {name: _reach(one) for name, one in snapshot.clusters.items()}


def lacking(snapshot: Snapshot) -> list[Unknown]:
    """Return one unknown for each cluster that refused to be read, with the rule that grants it.

    Each names the verbs and resources that are missing, and the rules of a ClusterRole with
    just those.
    """
    return [
        Unknown(what="rights of the reader", cluster=name, reason=reason)
        for name, one in snapshot.clusters.items()
        if (reason := _reason(one))
    ]


def _reach(one: ClusterSnapshot) -> Reach:
    if _WHOLE in one.unread:
        return "forbidden" if _refused(one.unread[_WHOLE]) else "unreachable"
    if not one.unread:
        return "ok"
    if not one.read and one.read is not None:
        return "forbidden" if all(map(_refused, one.unread.values())) else "unreachable"
    return "partial"


def _refused(why: str) -> bool:
    return why.startswith(_FORBIDDEN)


def _reason(one: ClusterSnapshot) -> str:
    refused = [what for what, why in one.unread.items() if _refused(why)]
    rights = dict.fromkeys(right for what in refused for right in _rights(what))
    if not rights:
        return ""
    told = "; ".join(f"{verb} {resource}" for verb, resource in rights)
    return f"missing: {told}. A ClusterRole grants it with rules: [{', '.join(_rules(rights))}]"


def _rights(what: str) -> Iterator[tuple[str, str]]:
    """Yield (verb, resource) of what could not be read: a resource, a log, or the identity."""
    if what == _WHOLE:
        yield "get", "namespaces"
    elif _LOG.match(what):
        yield "get", "pods/log"
    else:
        yield "list", what


def _rules(rights: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield one rule for each API group and verb, as a ClusterRole has them."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for verb, resource in rights:
        plural, _, group = resource.partition(".")
        grouped.setdefault((group, verb), []).append(plural)
    for (group, verb), plurals in grouped.items():
        names = ", ".join(plurals)
        yield f'{{apiGroups: ["{group}"], resources: [{names}], verbs: [{verb}]}}'
