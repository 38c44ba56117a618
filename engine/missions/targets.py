"""Which clusters a mission looks at: chosen as it starts, and frozen from then on. Pure."""

from collections.abc import Mapping
from typing import Any

from engine.changes.policy.policy import Place, matches
from engine.model.errors import DogwatchError
from engine.rules.labels import labels_match, parse_labels


def resolve(targets: Mapping[str, Any], places: Mapping[str, Place]) -> tuple[str, ...]:
    """Return the names of the `places` that `targets` choose, in order.

    Args:
        targets: clusters (names or globs), groups, labels (a selector), all, exclude; all that
            is given must hold, and none of `exclude`.
        places: the clusters of the configuration by name.

    Raises:
        DogwatchError: they choose none; the message names the clusters there are.
    """
    chosen = tuple(name for name in sorted(places) if _takes(targets, name, places[name]))
    if not chosen:
        names = ", ".join(sorted(places)) or "none"
        raise DogwatchError(f"targets {_shown(targets)} choose no cluster; known: {names}")
    return chosen


def _takes(targets: Mapping[str, Any], name: str, place: Place) -> bool:
    clusters, groups = targets.get("clusters"), targets.get("groups")
    return (
        not matches(name, targets.get("exclude", ()))
        and (clusters is None or matches(name, clusters))
        and (groups is None or bool({*groups} & {*place.groups}))
        and labels_match(
            parse_labels(targets["labels"]) if "labels" in targets else (), place.labels
        )
    )


def _shown(targets: Mapping[str, Any]) -> str:
    return "; ".join(f"{name}: {_value(value)}" for name, value in targets.items()) or "(none)"


def _value(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list | tuple) else str(value).lower()
