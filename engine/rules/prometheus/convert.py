"""A Prometheus rule file becomes a rule file of dogwatch, and an account of every rule."""

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain, count
from pathlib import PurePath
from typing import Any, Final

from engine.model.instant import format_duration
from engine.rules.load import load
from engine.rules.prometheus.annotations import MISSING, templated, translated
from engine.rules.prometheus.promql import Records
from engine.rules.prometheus.rule_files import PrometheusRule, read_rules
from engine.rules.prometheus.translate import Condition, translate
from engine.rules.prometheus.vector import RefusedError
from engine.rules.prometheus.writing import yaml_of

_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NO_SLUG: Final = re.compile(r"[^a-z0-9.-]+")
_NAME_CHARS: Final = 63
_INSTANT_US: Final = 1_000
"""`for` of rules that several series decide: all samples of one instant count together."""
_ORDER: Final = (
    "name",
    "on",
    "when",
    "by",
    "over",
    "measure",
    "having",
    "absent",
    "on_nodata",
    "stale_after",
    "for",
    "keep_firing_for",
    "labels",
    "annotations",
)
_HEAD: Final = """\
# yaml-language-server: $schema=schema.json
# From {path}, by: dogwatch rules import prometheus
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {{name: {name}}}
spec:
  rules:
"""


class Status(StrEnum):
    """What became of a rule."""

    TRANSLATED = "translated"
    NEARLY = "nearly"
    PUT_IN = "put in"
    REFUSED = "refused"


@dataclass(frozen=True)
class Outcome:
    """What became of one rule of Prometheus.

    Attributes:
        name, group, path, line: the rule, and where its expression stands.
        status: what became of it.
        rule: its name here; empty where it was refused.
        differences: how the meaning differs, where it does.
        part, why, way_out: which part was refused, the reason, and what can be done.
    """

    name: str
    group: str
    path: str
    line: int
    status: Status
    rule: str = ""
    differences: tuple[str, ...] = ()
    part: str = ""
    why: str = ""
    way_out: str = ""


@dataclass(frozen=True)
class Import:
    """The YAML of the rules that could be kept, and an outcome for every rule of the file."""

    text: str
    outcomes: tuple[Outcome, ...]


def convert(path: str, content: str | bytes, *, nearly: bool = False) -> Import:
    """Return the rules of the Prometheus rule file `path` as rules of dogwatch.

    Args:
        path: the name of the file, for places and for the group's name.
        content: the file.
        nearly: also take rules whose meaning differs a little; the differences are told.

    Raises:
        RuleError: the file is no rule file, or an expression is no PromQL.
    """
    found = read_rules(path, content)
    records = {one.name: one.expr for one in found if one.record and not one.labels}
    name = _slug(PurePath(path).name.split(".")[0]) or "imported"
    head = _HEAD.format(path=PurePath(path).name, name=name)
    made = _Made(head, records, nearly)
    outcomes = [made.take(one) for one in found]
    outcomes = [
        replace(one, status=Status.PUT_IN, why="", way_out="") if one.name in made.put_in else one
        for one in outcomes
    ]
    return Import(head + "\n".join(made.texts) if made.texts else "", tuple(outcomes))


@dataclass
class _Made:
    """What was made so far: texts, names that are taken, recording rules that were put in."""

    head: str
    records: Records
    nearly: bool
    texts: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    put_in: set[str] = field(default_factory=set)

    def take(self, one: PrometheusRule) -> Outcome:
        """Convert one rule; return what became of it."""
        place = (one.name, one.group, one.path, one.line)
        name = _free(one, self.taken)
        try:
            text, condition, differences = _converted(one, name, self.records, nearly=self.nearly)
            _check(one, self.head + text)
        except RefusedError as refused:
            part = " ".join(refused.part.split())
            return Outcome(
                *place, Status.REFUSED, part=part, why=refused.why, way_out=refused.way_out
            )
        self.taken.add(name)
        self.texts.append(text)
        self.put_in |= condition.recorded
        status = Status.NEARLY if differences else Status.TRANSLATED
        return Outcome(*place, status, name, differences)


def _converted(
    one: PrometheusRule, name: str, records: Records, *, nearly: bool
) -> tuple[str, Condition, tuple[str, ...]]:
    """Return the YAML of one rule, its condition, and how its meaning differs."""
    _check_fields(one)
    condition = translate(one.expr, records, nearly=nearly)
    differences = dict.fromkeys(condition.differences)
    used: set[str] = set()
    annotations = dict(_annotations(one, condition, used, differences, nearly=nearly))
    for_us = max(one.for_us, _INSTANT_US if condition.joined else 0)
    labels = {"alertname": one.name, **condition.fixed, **one.labels}
    times = {"for": for_us, "keep_firing_for": one.keep_firing_for_us}
    fields = {
        "name": name,
        **condition.fields,
        "by": _by(condition, used),
        **{name: format_duration(us) for name, us in times.items() if us},
        "labels": {label: value for label, value in labels.items() if value},
        **({"annotations": annotations} if annotations else {}),
    }
    ordered = {name: fields[name] for name in _ORDER if name in fields}
    comments = [f"# PromQL: {line}" for line in one.text.splitlines()]
    comments += [f"# Differs: {difference}." for difference in differences]
    head = "".join(f"    {comment}\n" for comment in comments)
    return head + yaml_of([ordered], 4), condition, tuple(differences)


def _check_fields(one: PrometheusRule) -> None:
    if one.record:
        raise RefusedError(
            one.name,
            "it records a series, and rules do not make signals of numbers",
            "alerts of this file that use it by its bare name have its expression put in",
        )
    if one.odd:
        raise RefusedError(one.odd[0], "the group sets it, and rules have no such field", "drop it")
    for label, value in one.labels.items():
        if templated(value):
            raise RefusedError(
                f"label {label}: {value}", "labels of rules are fixed", "write it out"
            )


def _annotations(
    one: PrometheusRule,
    condition: Condition,
    used: set[str],
    differences: dict[str, None],
    *,
    nearly: bool,
) -> Iterator[tuple[str, str]]:
    """Yield the annotations; `used` takes the labels that they show."""

    def label(name: str) -> str:
        if condition.labels is not None and name not in condition.labels:
            fixed = condition.fixed.get(name, "")
            return f"labels['{name}']" if fixed else ""
        used.add(name)
        return f"key['labels.{name}']"

    for name, text in one.annotations.items():
        try:
            made, differing = translated(text, label, condition.shown, nearly=nearly)
        except RefusedError as refused:
            if not nearly:
                raise
            differences[f"annotation {name} is left out, for {refused.part}"] = None
            continue
        for tag in differing:
            differences[f"annotation {name} shows the value in its own form, for {tag}"] = None
        if made.strip():
            yield name, made


def _by(condition: Condition, used: set[str]) -> list[Any]:
    """Return the group key: the labels of the groups, or all of them beside the `used`."""
    names = sorted(used) if condition.labels is None else condition.labels
    whole = ["signal.labels"] if condition.labels is None else []
    return ["cluster", *whole, *({"path": f"labels.{one}", "default": MISSING} for one in names)]


def _check(one: PrometheusRule, text: str) -> None:
    """Refuse what `rules check` would refuse: nothing is written that does not load."""
    errors = [fault for fault in load({one.path: text}).faults if fault.severity == "error"]
    if errors:
        raise RefusedError(one.text, errors[0].message, "write the rule by hand")


def _free(one: PrometheusRule, taken: AbstractSet[str]) -> str:
    """Return a name for the rule that no other has: several alerts may share theirs."""
    name = _slug(_WORD_START.sub("-", one.name)) or "rule"
    severity = _slug(one.labels.get("severity", ""))
    tried = (name, f"{name}-{severity}") if severity else (name,)
    numbered = (f"{name}-{number}" for number in count(2))
    return next(one for one in chain(tried, numbered) if one not in taken)


def _slug(text: str) -> str:
    return _NO_SLUG.sub("-", text.lower())[: _NAME_CHARS - 16].strip("-.")
