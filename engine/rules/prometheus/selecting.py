"""Selectors of series: a metric and its matchers, as dogwatch selects signals."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from promql_parser import Matcher, MatchOp, VectorSelector

from engine.rules.labels import Requirement, parse_labels
from engine.rules.prometheus.vector import RefusedError, both

_OPERATORS: Final = {str(MatchOp.Equal): "=", str(MatchOp.NotEqual): "!="}
"""By text: the parser's words can not be hashed."""


@dataclass(frozen=True)
class Series:
    """A metric and what its labels must be like.

    `labels` are requirements in Kubernetes' syntax, `tests` CEL over the signal; all hold.
    """

    metric: str
    labels: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()

    def condition(self) -> str:
        """Return the requirements as one CEL condition over the signal."""
        return both(*map(_required, self.labels), *self.tests)


def series(selector: VectorSelector) -> Series:
    """Return what `selector` takes.

    Raises:
        RefusedError: it names no metric, or reads at another time than now.
    """
    if selector.offset is not None or selector.at is not None:
        raise RefusedError(
            selector,
            "'offset' and '@' read the past, and a rule sees the present",
            "compare with a measure over a longer window, such as delta",
        )
    if selector.matchers.or_matchers:
        raise RefusedError(selector, "'or' between matchers", "use =~ with alternatives")
    matchers = list(selector.matchers.matchers)
    names = [one.value for one in matchers if one.name == "__name__" and one.op == MatchOp.Equal]
    metric = selector.name or next(iter(names), "")
    others = [one for one in matchers if one.name != "__name__"]
    if not metric or len(others) + len(names) < len(matchers):
        raise RefusedError(selector, "no single metric is named", "one rule for each metric")
    short = [_short(one) for one in others]
    return Series(
        metric,
        tuple(sorted(one for one in short if one)),
        tuple(_test(one) for one, form in zip(others, short, strict=True) if not form),
    )


def shared(found: Iterable[Series]) -> Series | None:
    """Return the one that all of `found` are but for their metric; None where they differ."""
    bare = {Series("", one.labels, one.tests) for one in found}
    return next(iter(bare)) if len(bare) == 1 else None


def equalities(selector: VectorSelector) -> dict[str, str]:
    """Return the labels that `selector` fixes: those of what `absent` gives."""
    fixed: dict[str, list[str]] = {}
    for one in selector.matchers.matchers:
        fixed.setdefault(one.name, []).append(one.value if one.op == MatchOp.Equal else "")
    return {
        name: values[0]
        for name, values in fixed.items()
        if len(values) == 1 and values[0] and name != "__name__"
    }


def cel_text(text: str) -> str:
    """Return `text` as a CEL literal, whose escapes are JSON's."""
    return json.dumps(text, ensure_ascii=False)


def _short(matcher: Matcher) -> str:
    """Return `matcher` as a label requirement, or nothing where that could not say it."""
    symbol = _OPERATORS.get(str(matcher.op))
    if symbol is None or not matcher.value:
        return ""
    text = f"{matcher.name}{symbol}{matcher.value}"
    try:
        parsed = parse_labels(text)
    except ValueError:
        return ""
    meant = Requirement(matcher.name, frozenset({matcher.value}), matcher.op == MatchOp.Equal)
    return text if parsed == (meant,) else ""


def _required(requirement: str) -> str:
    """Return a requirement that `_short` made as CEL."""
    (found,) = parse_labels(requirement)
    (value,) = found.values or ("",)
    test = f"{_label(found.key)} == {cel_text(value)}"
    return test if found.wanted else test.replace(" == ", " != ", 1)


def _test(matcher: Matcher) -> str:
    """Return `matcher` as CEL; a label that is not there is empty, a pattern is anchored."""
    label = _label(matcher.name)
    if str(matcher.op) in _OPERATORS:
        symbol = "==" if matcher.op == MatchOp.Equal else "!="
        return f"{label} {symbol} {cel_text(matcher.value)}"
    test = f"{label}.matches({cel_text(f'^(?s:{matcher.value})$')})"
    return test if matcher.op == MatchOp.Re else f"!{test}"


def _label(name: str) -> str:
    quoted = cel_text(name)
    return f'({quoted} in signal.labels ? signal.labels[{quoted}] : "")'
