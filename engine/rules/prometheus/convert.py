"""A Prometheus rule file becomes a rule file of dogwatch, and an account of every rule."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
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
    texts: list[str] = []
    outcomes: list[Outcome] = []
    taken: set[str] = set()
    for one in found:
        rule = _free(one, taken)
        try:
            text, differences = _converted(one, rule, records, nearly=nearly)
            _check(one, head + text)
        except RefusedError as refused:
            outcomes.append(_refused(one, refused))
            continue
        taken.add(rule)
        texts.append(text)
        status = Status.NEARLY if differences else Status.TRANSLATED
        outcomes.append(Outcome(one.name, one.group, one.path, one.line, status, rule, differences))
    return Import(head + "\n".join(texts) if texts else "", tuple(outcomes))


def _refused(one: PrometheusRule, refused: RefusedError) -> Outcome:
    return Outcome(
        name=one.name,
        group=one.group,
        path=one.path,
        line=one.line,
        status=Status.REFUSED,
        part=" ".join(refused.part.split()),
        why=refused.why,
        way_out=refused.way_out,
    )


def _converted(
    one: PrometheusRule, name: str, records: Records, *, nearly: bool
) -> tuple[str, tuple[str, ...]]:
    """Return the YAML of one rule, and how its meaning differs."""
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
        **{field: format_duration(us) for field, us in times.items() if us},
        "labels": {label: value for label, value in labels.items() if value},
        **({"annotations": annotations} if annotations else {}),
    }
    ordered = {field: fields[field] for field in _ORDER if field in fields}
    comments = [f"# PromQL: {line}" for line in one.text.splitlines()]
    comments += [f"# Differs: {difference}." for difference in differences]
    head = "".join(f"    {comment}\n" for comment in comments)
    return head + yaml_of([ordered], 4), tuple(differences)


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
            made = translated(text, label, condition.shown)
        except RefusedError as refused:
            if not nearly:
                raise
            differences[f"annotation {name} is left out, for {refused.part}"] = None
            continue
        if made.strip():
            yield name, made


def _by(condition: Condition, used: set[str]) -> list[Any]:
    """Return the group key: the labels of the groups, or all of them beside the `used`."""
    names = sorted(used) if condition.labels is None else condition.labels
    whole = ["signal.labels"] if condition.labels is None else []
    return ["cluster", *whole, *({"path": f"labels.{one}", "default": MISSING} for one in names)]


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


def _check(one: PrometheusRule, text: str) -> None:
    """Refuse what `rules check` would refuse: nothing is written that does not load."""
    errors = [fault for fault in load({one.path: text}).faults if fault.severity == "error"]
    if errors:
        raise RefusedError(one.text, errors[0].message, "write the rule by hand")


def _free(one: PrometheusRule, taken: Mapping[str, Any] | set[str]) -> str:
    """Return a name for the rule that no other has: several alerts may share theirs."""
    name = _slug(_WORD_START.sub("-", one.name)) or "rule"
    severity = _slug(one.labels.get("severity", ""))
    tries = [name, *([f"{name}-{severity}"] if severity else [])]
    number = 2
    while tries[0] in taken:
        tries = tries[1:] or [f"{name}-{number}"]
        number += 1
    return tries[0]


def _slug(text: str) -> str:
    return _NO_SLUG.sub("-", text.lower())[: _NAME_CHARS - 16].strip("-.")
