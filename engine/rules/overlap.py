"""Do two conditions over the same measures hold at once? A witness is a proof."""

import re
from collections.abc import Mapping
from itertools import islice, product
from typing import Any, Final

from engine.rules.cel import EvaluationError, Program

_NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
_MOST: Final = 2000
_WHOLE: Final = frozenset({"count", "distinct"})


def overlap(
    one: Program, other: Program, measures: Mapping[str, str], params: Mapping[str, Any]
) -> dict[str, float]:
    """Return values of the measures for which both hold, none if none was met.

    Comparisons with numbers change their answer only at those numbers, so it is enough to try
    each number that is written in them and a value on each side. Calls and macros are not
    looked into.

    Args:
        one: a condition over m and params.
        other: another one.
        measures: name -> aggregate of each measure.
        params: values of params.
    """
    if "(" in one.source + other.source:
        return {}
    written = {float(n) for p in (one, other) for n in _NUMBER.findall(p.source)}
    written |= {float(v) for v in params.values() if isinstance(v, int | float)}
    between = {(a + b) / 2 for a, b in product(written, written)}
    points = sorted({0.0, *between, *(n - 1 for n in written), *(n + 1 for n in written)})
    choices = [_points(points, fn) for fn in measures.values()]
    for values in islice(product(*choices), _MOST):
        m = dict(zip(measures, values, strict=True))
        if _holds(one, m, params) and _holds(other, m, params):
            return m
    return {}


def _points(points: list[float], fn: str) -> list[float]:
    return [int(p) for p in points if p >= 0 and p.is_integer()] if fn in _WHOLE else points


def _holds(program: Program, m: Mapping[str, float], params: Mapping[str, Any]) -> bool:
    try:
        return program.evaluate({"m": m, "params": params}) is True
    except EvaluationError:
        return False
