"""A walk through an expression of PromQL: every part becomes CEL, or is refused."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    NumberLiteral,
    ParenExpr,
    UnaryExpr,
    VectorSelector,
)

from engine.rules.prometheus import reasons
from engine.rules.prometheus.frame import Frame
from engine.rules.prometheus.promql import Records, bare, grouping, leaves, matrix, recorded_as
from engine.rules.prometheus.selecting import series
from engine.rules.prometheus.vector import (
    ARITHMETIC,
    COMPARISONS,
    SETS,
    RefusedError,
    Vector,
    both,
    calculated,
    combined,
    compared,
    mapped,
    negated,
    opposite,
)

_OVER: Final[Mapping[str, str]] = {
    "avg_over_time": "avg",
    "min_over_time": "min",
    "max_over_time": "max",
    "sum_over_time": "sum",
    "count_over_time": "count",
    "present_over_time": "count",
    "last_over_time": "last",
    "stddev_over_time": "stddev",
    "deriv": "slope",
}
_QUANTILES: Final[Mapping[float, str]] = {
    0.0: "min",
    0.5: "p50",
    0.75: "p75",
    0.9: "p90",
    0.95: "p95",
    0.99: "p99",
    1.0: "max",
}
_POOLED: Final[Mapping[tuple[str, str], str]] = {
    ("sum", "sum_over_time"): "sum",
    ("sum", "count_over_time"): "count",
    ("max", "max_over_time"): "max",
    ("min", "min_over_time"): "min",
}
_LATEST: Final[Mapping[str, str]] = {
    "sum": "sum",
    "avg": "avg",
    "min": "min",
    "max": "max",
    "stddev": "stddev",
    "count": "count",
    "group": "count",
}
"""Aggregation of series as they are -> measure with `latest`."""
_COUNTED: Final = frozenset({"rate", "increase"})
_MAPPED: Final[Mapping[str, str]] = {
    "abs": "({v} < 0.0 ? -{v} : {v})",
    "clamp_min": "({v} < {0} ? {0} : {v})",
    "clamp_max": "({v} > {0} ? {0} : {v})",
}
_MIRRORED: Final = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}


class Walk:
    """One walk through an expression; collects measures in `frame`, and `differences`."""

    def __init__(
        self, frame: Frame, records: Records, *, nearly: bool, finite: bool = False
    ) -> None:
        """Begin; `nearly` takes what differs a little, `finite` refuses what may be infinite."""
        self.frame = frame
        self.differences: dict[str, None] = {}
        self._records = records
        self._nearly = nearly
        self._finite = finite

    def value(self, expr: Expr) -> Vector | float:
        """Return what `expr` is. Raises RefusedError."""
        for kind, found in self._KINDS.items():
            if isinstance(expr, kind):
                return found(self, expr)
        raise RefusedError(expr, *reasons.SUBQUERY)

    def _number(self, expr: NumberLiteral) -> float:
        return float(expr.val)

    def _inner(self, expr: ParenExpr) -> Vector | float:
        return self.value(expr.expr)

    def _minus(self, expr: UnaryExpr) -> Vector | float:
        return opposite(self.value(expr.expr))

    def _selector(self, expr: VectorSelector) -> Vector | float:
        recorded = recorded_as(expr, self._records)
        return self.frame.instant(series(expr)) if recorded is None else self.value(recorded)

    def _binary(self, expr: BinaryExpr) -> Vector | float:
        symbol, modifier = str(expr.op), expr.modifier
        if modifier is not None and (modifier.matching is not None or modifier.group_labels):
            raise RefusedError(
                expr,
                "it matches series by some of their labels",
                "give both sides the same labels, or join two rules over type condition",
            )
        if (grown := self._against_zero(expr)) is not None:
            return grown
        left, right = self.value(expr.lhs), self.value(expr.rhs)
        if symbol in SETS and isinstance(left, Vector) and isinstance(right, Vector):
            return combined(left, symbol, right)
        if symbol in COMPARISONS:
            as_number = modifier is not None and modifier.return_bool
            return compared(left, symbol, right, as_number=as_number)
        if symbol in ARITHMETIC:
            if symbol == "/" and self._finite and not (isinstance(right, float) and right):
                raise RefusedError(expr, *reasons.INFINITE)
            return calculated(left, symbol, right)
        raise RefusedError(expr, f"CEL has no '{symbol}' for fractions", "compare without it")

    def _against_zero(self, expr: BinaryExpr) -> Vector | None:
        """Return a rate, increase or changes compared with 0: it needs not be computed."""
        symbol, call, number = str(expr.op), bare(expr.lhs), bare(expr.rhs)
        if isinstance(call, NumberLiteral):
            symbol, call, number = _MIRRORED.get(symbol, ""), number, call
        zero = isinstance(number, NumberLiteral) and number.val == 0
        if not zero or not isinstance(call, Call) or symbol not in _MIRRORED:
            return None
        if (expr.modifier is not None and expr.modifier.return_bool) or symbol == "<":
            return None
        if call.func.name in _COUNTED:
            there, grown = self.frame.grown(series(matrix(call).vector_selector))
        elif call.func.name == "changes":
            there, grown = self.frame.changed(series(matrix(call).vector_selector))
        else:
            return None
        present = {">": grown, "!=": grown, ">=": there}.get(symbol, both(there, negated(grown)))
        zero_then = symbol in {"==", "<="}
        return Vector(present, "0.0" if zero_then else "", "0" if zero_then else "")

    def _call(self, expr: Call) -> Vector | float:
        name = expr.func.name
        if name in _MAPPED:
            return self._mapped(expr)
        if fn := _measure(expr):
            found = self.frame.measured(fn, series(matrix(expr).vector_selector))
            ones = Vector(found.present, "1.0", "1")
            return ones if name == "present_over_time" else found
        if name in _COUNTED and self._nearly:
            return self._counted(expr, None)
        raise RefusedError(expr, *reasons.FUNCTIONS.get(name, reasons.UNKNOWN))

    def _mapped(self, expr: Call) -> Vector:
        inner, *limits = (self.value(one) for one in expr.args)
        if not isinstance(inner, Vector) or not all(isinstance(one, float) for one in limits):
            raise RefusedError(expr, *reasons.UNKNOWN)
        return mapped(inner, _MAPPED[expr.func.name], [one for one in limits if type(one) is float])

    def _counted(self, call: Call, labels: tuple[str, ...] | None) -> Vector:
        """Return a rate or increase as dogwatch counts it."""
        name = call.func.name
        self.differences[reasons.COUNTED_NEARLY.format(name)] = None
        return self.frame.measured(name, series(matrix(call).vector_selector), labels)

    def _aggregate(self, expr: AggregateExpr) -> Vector:
        operation, labels, inner = str(expr.op), grouping(expr), bare(expr.expr)
        fn = _aggregation(expr)
        if not self.frame.over_us:
            raise RefusedError(expr, *reasons.COMPUTED)
        if isinstance(inner, Call):
            pooled = _POOLED.get((operation, inner.func.name))
            if pooled is not None:
                return self.frame.measured(pooled, series(matrix(inner).vector_selector), labels)
            if inner.func.name in _COUNTED and operation == "sum" and self._nearly:
                return self._counted(inner, labels)
            if inner.func.name in _COUNTED:
                raise RefusedError(expr, *reasons.EXTRAPOLATED)
        found = self._latest(expr, fn, labels)
        return Vector(found.present, "1.0", "1", labels) if operation == "group" else found

    def _latest(self, expr: AggregateExpr, fn: str, labels: tuple[str, ...]) -> Vector:
        """Return an aggregation of series as they were last seen."""
        inner = bare(expr.expr)
        if fn == "count" and isinstance(inner, Call) and _measure(inner) not in {"", "slope"}:
            series_ = series(matrix(inner).vector_selector)
            there = Vector(self.frame.filter(series_), "", "")
            return self.frame.latest(fn, series_.metric, there, labels)
        found = {(one.series.metric, one.over_us) for one in leaves(inner, self._records)}
        metric, over_us = next(iter(found), ("", 0))
        if len(found) != 1 or over_us:
            raise RefusedError(expr, *reasons.COMPUTED)
        plain = Frame(self.frame.found)
        value = Walk(plain, self._records, nearly=False, finite=fn != "count").value(inner)
        if isinstance(value, float):
            raise RefusedError(expr, *reasons.COMPUTED)
        return self.frame.latest(fn, metric, value, labels)

    _KINDS: Final[Mapping[type[Expr], Callable[["Walk", Any], Vector | float]]] = {
        NumberLiteral: _number,
        ParenExpr: _inner,
        UnaryExpr: _minus,
        VectorSelector: _selector,
        BinaryExpr: _binary,
        Call: _call,
        AggregateExpr: _aggregate,
    }


def _measure(call: Call) -> str:
    """Return the measure that is what `call` computes of a window, empty where none is."""
    if call.func.name != "quantile_over_time":
        return _OVER.get(call.func.name, "")
    return _percentile(call, call.args[0])


def _aggregation(expr: AggregateExpr) -> str:
    """Return the measure that is what `expr` makes of the values of a group."""
    operation = str(expr.op)
    if operation == "quantile" and expr.param is not None:
        return _percentile(expr, expr.param)
    if operation not in _LATEST:
        raise RefusedError(expr, *reasons.UNKNOWN)
    return _LATEST[operation]


def _percentile(expr: Expr, param: Expr) -> str:
    rank = bare(param)
    found = _QUANTILES.get(rank.val) if isinstance(rank, NumberLiteral) else None
    if found is None:
        known = ", ".join(str(one) for one in _QUANTILES)
        raise RefusedError(expr, f"percentiles are {known}", "take the nearest of them")
    return found
