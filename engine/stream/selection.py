"""Selection: whether one selector takes a signal. The index asks the same of all rules at once."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

from engine.model.signal import Signal, cluster_of
from engine.rules.labels import labels_match, parse_labels
from engine.rules.rule import Selector

FIELDS: Final = {
    "kinds": "kind",
    "reasons": "reason",
    "metrics": "metric",
    "namespaces": "namespace",
    "clusters": "cluster",
}
"""List of a selector -> field of the data that it looks at, or the cluster."""


class Selection:
    """One selector, made ready."""

    __slots__ = ("_excluded", "_labels", "_lists", "_type")

    def __init__(self, selector: Selector) -> None:
        self._type = selector.type
        listed = ((field, getattr(selector, name)) for name, field in FIELDS.items())
        self._lists = tuple((field, globs) for field, globs in listed if globs)
        self._excluded = tuple((FIELDS[name], globs) for name, globs in selector.exclude.items())
        self._labels = parse_labels(selector.labels) if selector.labels else ()

    def takes(self, signal: Signal) -> bool:
        """Whether the selector takes the signal."""
        if signal.type != self._type:
            return False
        if not all(_matches(signal, field, globs) for field, globs in self._lists):
            return False
        if any(_matches(signal, field, globs) for field, globs in self._excluded):
            return False
        return not self._labels or labels_match(self._labels, _labels(signal))


def _matches(signal: Signal, field: str, globs: tuple[str, ...]) -> bool:
    value = cluster_of(signal) if field == "cluster" else signal.data.get(field)
    text = value if isinstance(value, str) else ""
    return any(fnmatchcase(text, glob) for glob in globs)


def _labels(signal: Signal) -> Mapping[str, str]:
    labels = signal.data.get("labels")
    if not isinstance(labels, dict):
        return {}
    return {name: value for name, value in labels.items() if isinstance(value, str)}
