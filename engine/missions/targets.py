"""Which clusters a mission looks at: chosen as it starts, and frozen from then on. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from engine.model.errors import DogwatchError
from engine.rules.labels import labels_match, parse_labels


@dataclass(frozen=True)
class Place:
    """A cluster of the configuration: what targets can choose it by."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()


def resolve(targets: Mapping[str, Any], places: Iterable[Place]) -> tuple[str, ...]:
    """Return the names of the `places` that `targets` choose, in order.

    Args:
        targets: clusters (names or globs), groups, labels (a selector), all, exclude; all that
            is given must hold, and none of `exclude`.
        places: the clusters of the configuration.

    Raises:
        DogwatchError: they choose none; the message names the clusters there are.
    """
    known = sorted(places, key=lambda one: one.name)
    chosen = tuple(one.name for one in known if _takes(targets, one))
    if not chosen:
        names = ", ".join(one.name for one in known) or "none"
        raise DogwatchError(f"targets {_shown(targets)} choose no cluster; known: {names}")
    return chosen


def _takes(targets: Mapping[str, Any], place: Place) -> bool:
    clusters, groups = targets.get("clusters"), targets.get("groups")
    return (
        not _matches(place.name, targets.get("exclude", ()))
        and (clusters is None or _matches(place.name, clusters))
        and (groups is None or bool({*groups} & {*place.groups}))
        and labels_match(
            parse_labels(targets["labels"]) if "labels" in targets else (), place.labels
        )
    )


def _matches(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _shown(targets: Mapping[str, Any]) -> str:
    return "; ".join(f"{name}: {_value(value)}" for name, value in targets.items()) or "(none)"


def _value(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list | tuple) else str(value).lower()
