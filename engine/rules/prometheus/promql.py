"""What is asked of an expression of PromQL: its series, its groups, what is recorded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from promql_parser import (
    AggModifierType,
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatrixSelector,
    ParenExpr,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
    parse,
)

from engine.rules.prometheus import reasons
from engine.rules.prometheus.selecting import Series, series
from engine.rules.prometheus.vector import RefusedError

Records = Mapping[str, Expr]
"""What recording rules of the file compute, by metric: put in where the metric is used."""


@dataclass(frozen=True)
class Leaf:
    """One use of a series.

    Attributes:
        series: the series.
        over_us: the window it is looked at, 0: its last sample.
        grouped: whether inside an aggregation.
        recorded: recording rules that were put in on the way to it.
    """

    series: Series
    over_us: int
    grouped: bool
    recorded: tuple[str, ...] = ()


def parsed(text: str) -> Expr:
    """Return the tree of `text`. Raises ValueError that says what is wrong with it."""
    return parse(text)


def leaves(
    expr: Expr, records: Records, *, grouped: bool = False, inside: tuple[str, ...] = ()
) -> Iterator[Leaf]:
    """Yield each use of a series in `expr`; `inside`: recording rules that are put in there.

    Raises:
        RefusedError: a series that can not be selected, a subquery, a rule recorded from itself.
    """
    grouped = grouped or isinstance(expr, AggregateExpr)
    if isinstance(expr, MatrixSelector):
        over_us = microseconds(expr.range)
        yield Leaf(series(expr.vector_selector), over_us, grouped, inside)
    elif isinstance(expr, VectorSelector):
        recorded = recorded_as(expr, records)
        if recorded is None:
            yield Leaf(series(expr), 0, grouped, inside)
        elif str(expr.name) in inside:
            raise RefusedError(expr, "it is recorded from itself", "take the loop out")
        else:
            within = (*inside, str(expr.name))
            yield from leaves(recorded, records, grouped=grouped, inside=within)
    elif isinstance(expr, SubqueryExpr):
        raise RefusedError(expr, *reasons.SUBQUERY)
    else:
        for part in _parts(expr):
            yield from leaves(part, records, grouped=grouped, inside=inside)


def recorded_as(expr: VectorSelector, records: Records) -> Expr | None:
    """Return what the recording rule of the metric computes, None where there is none.

    Raises:
        RefusedError: only a part of what it computes is selected.
    """
    recorded = records.get(expr.name or "")
    if recorded is not None and (expr.matchers.matchers or expr.offset or expr.at):
        raise RefusedError(
            expr,
            "it selects from what a recording rule computes",
            "write the expression of the recording rule in its place",
        )
    return recorded


def bare(expr: Expr) -> Expr:
    """Return `expr` without the parentheses round it."""
    while isinstance(expr, ParenExpr):
        expr = expr.expr
    return expr


def matrix(call: Call) -> MatrixSelector:
    """Return the window that `call` looks at. Raises RefusedError for a subquery."""
    found = bare(call.args[-1])
    if not isinstance(found, MatrixSelector):
        raise RefusedError(found, *reasons.SUBQUERY)
    return found


def grouping(expr: AggregateExpr) -> tuple[str, ...]:
    """Return the labels of `by`, in order. Raises RefusedError for `without`."""
    if expr.modifier is not None and expr.modifier.type == AggModifierType.Without:
        raise RefusedError(
            expr, "a group key names the labels it has, not those it lacks", "use `by`"
        )
    return tuple(sorted(expr.modifier.labels)) if expr.modifier is not None else ()


def microseconds(length: timedelta) -> int:
    """Return `length` in microseconds."""
    return length // timedelta(microseconds=1)


def _parts(expr: Expr) -> list[Expr]:
    if isinstance(expr, BinaryExpr):
        return [expr.lhs, expr.rhs]
    if isinstance(expr, ParenExpr | UnaryExpr | AggregateExpr):
        return [expr.expr]
    return list(expr.args) if isinstance(expr, Call) else []
