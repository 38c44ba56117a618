"""Pseudonyms: names of objects leave as stable stand-ins, and are put back in the answer."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from engine.analysis.text import clean
from engine.model.report import ObjectRef, Report

_LONGEST = 2000
_ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b(?::\d+)?")
_TOP = (
    "com|net|org|io|dev|app|cloud|local|internal|lan|corp|example|test|gov|edu|info|eu|de|uk|fr"
    "|ch|at|nl|us|ca|jp|cn|in|au|br"
)
_HOST = re.compile(rf"\b(?:[a-z0-9-]+\.)+(?:{_TOP})\b(?:\.?:\d+)?", re.IGNORECASE)
_GENERAL = frozenset({"default", "v1", "main", "app", "kube-system", "latest"})
"""Names that tell nothing of whose cluster it is, and occur in plain words."""


class Pseudonyms:
    """The names of one report, each with its stand-in: `deployment-1`, `namespace-2`.

    The numbers follow the order of the names, so that one report always has the same ones.
    """

    def __init__(self, report: Report) -> None:
        self._standing: dict[str, str] = {}
        counts: dict[str, int] = {}
        named = sorted({pair for pair in _names(report) if pair[1] and pair[1] not in _GENERAL})
        for kind, name in named:
            if name not in self._standing:
                counts[kind] = counts.get(kind, 0) + 1
                self._standing[name] = f"{kind}-{counts[kind]}"
        self._names = {stand_in: name for name, stand_in in self._standing.items()}
        self._there = _any_of(self._standing)
        self._back = _any_of(self._names)

    def hide(self, text: str) -> str:
        """Return `text` as it may leave: cleaned, secrets redacted, names replaced."""
        shown = clean(text, _LONGEST)
        if self._there is not None:
            shown = self._there.sub(lambda found: self._standing[found.group()], shown)
        return _HOST.sub("[host]", _ADDRESS.sub("[address]", shown))

    def show(self, text: str) -> str:
        """Return `text` with the names put back."""
        if self._back is None:
            return text
        return self._back.sub(lambda found: self._names[found.group()], text)


def _names(report: Report) -> Iterator[tuple[str, str]]:
    for ref in _refs(report):
        yield "cluster", ref.cluster
        yield "namespace", ref.namespace
        yield ref.kind.lower(), ref.name
    for finding in report.findings:
        yield "container", finding.container
    for name in report.clusters:
        yield "cluster", name


def _refs(report: Report) -> Iterator[ObjectRef]:
    waiting: list[Any] = [report.findings, report.incidents, report.changes]
    while waiting:
        match waiting.pop():
            case ObjectRef() as ref:
                yield ref
            case list() as items:
                waiting.extend(items)
            case BaseModel() as one:
                waiting.extend(value for _, value in one)
            case _:
                continue


def _any_of(names: Iterable[str]) -> re.Pattern[str] | None:
    """Return a pattern for any of `names`, by itself or as a part: shop in shop-config."""
    ordered = sorted(names, key=len, reverse=True)
    if not ordered:
        return None
    return re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, ordered))})(?![A-Za-z0-9])")
