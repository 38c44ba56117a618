"""The expression of an alerting rule becomes the condition of a rule."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from promql_parser import (
    Call,
    Expr,
    MatrixSelector,
    VectorSelector,
)

from engine.model.instant import format_duration
from engine.rules.prometheus import reasons
from engine.rules.prometheus.frame import LOOKBACK_US, Frame
from engine.rules.prometheus.promql import Leaf, Records, bare, leaves, microseconds
from engine.rules.prometheus.selecting import equalities, series
from engine.rules.prometheus.vector import ALWAYS, RefusedError, Vector, both
from engine.rules.prometheus.walk import Walk


@dataclass(frozen=True)
class Condition:
    """What a rule looks at.

    Attributes:
        fields: fields of the rule: on, when, over, measure, having, absent ...
        labels: labels that tell its alerts apart; None: all of the series.
        shown: the value in a template; empty where a template can not compute it.
        fixed: labels that each of its alerts has.
        differences: how it differs from Prometheus.
        joined: several series decide together, so their samples of one instant must be awaited.
        recorded: recording rules that were put in.
    """

    fields: Mapping[str, Any]
    labels: tuple[str, ...] | None
    shown: str = ""
    fixed: Mapping[str, str] = field(default_factory=dict)
    differences: tuple[str, ...] = ()
    joined: bool = False
    recorded: frozenset[str] = frozenset()


def translate(expr: Expr, records: Records, *, nearly: bool = False) -> Condition:
    """Return the condition that is true exactly where `expr` has an element.

    Args:
        expr: the expression of an alerting rule.
        records: recording rules without labels, which are put in by what they compute.
        nearly: also take what differs a little; the differences are told.

    Raises:
        RefusedError: it can not be kept; says which part, why, and a way out.
    """
    whole = bare(expr)
    if nearly and isinstance(whole, Call) and whole.func.name.startswith("absent"):
        return _absent(whole)
    found = list(leaves(expr, records))
    frame = Frame([one.series for one in found], _window(expr, found))
    walk = Walk(frame, records, nearly=nearly)
    result = walk.value(expr)
    if isinstance(result, float):
        raise RefusedError(expr, *reasons.NUMBER)
    joined = bool(frame.over_us) and (
        result.labels is not None or len({one.metric for one in frame.found}) > 1
    )
    return Condition(
        _fields(frame, result),
        result.labels,
        result.shown,
        differences=tuple(walk.differences),
        joined=joined,
        recorded=_recorded(found),
    )


def _window(expr: Expr, found: list[Leaf]) -> int:
    """Return the one window that `expr` looks at, 0 where last samples are enough."""
    lengths = {one.over_us for one in found}
    if not lengths:
        raise RefusedError(expr, *reasons.NUMBER)
    several = len({one.series.metric for one in found}) > 1
    if lengths == {0} and not several and not any(one.grouped for one in found):
        return 0
    windows = {over or LOOKBACK_US for over in lengths}
    if len(windows) > 1:
        shown = ", ".join(format_duration(one) for one in sorted(windows))
        raise RefusedError(expr, reasons.WINDOWS[0].format(shown), reasons.WINDOWS[1])
    return next(iter(windows))


def _fields(frame: Frame, result: Vector) -> dict[str, Any]:
    """Return the fields of a rule that is true where `result` has an element."""
    fields = frame.fields()
    if frame.over_us:
        return {**fields, "having": result.present}
    fields["when"] = both(fields.get("when", ALWAYS), result.present)
    return {**fields, "on_nodata": "resolve", "stale_after": format_duration(LOOKBACK_US)}


def _absent(call: Call) -> Condition:
    """Return `absent` of a series as the core of that name, for those seen before."""
    inner, over_us = bare(call.args[0]), LOOKBACK_US
    if isinstance(inner, MatrixSelector):
        over_us, inner = microseconds(inner.range), inner.vector_selector
    if not isinstance(inner, VectorSelector):
        raise RefusedError(call, "only a series can be absent", "absent of the series themselves")
    fields = {
        **Frame([series(inner)]).fields(),
        "absent": {"expect": "seen", "within": format_duration(over_us)},
    }
    return Condition(fields, (), "1", equalities(inner), (reasons.ABSENT_NEARLY,))


def _recorded(found: Iterable[Leaf]) -> frozenset[str]:
    return frozenset(name for leaf in found for name in leaf.recorded)
