"""Results of self-tests as text, as JSON, and as JUnit's XML."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from engine.model.instant import rfc3339
from engine.stream.notation import EPOCH_US
from engine.stream.selftest import Outcome, Result


def to_json(result: Result) -> dict[str, Any]:
    """Return `result` as JSON."""
    return {
        "rule": result.rule,
        "test": result.name,
        "path": result.path,
        "line": result.line,
        "passed": result.passed,
        "error": result.error,
        "expectations": [{**vars(one), "why": list(one.why)} for one in result.outcomes],
        "history": list(result.history),
    }


def to_text(results: Sequence[Result]) -> str:
    """Return `results` for a person: of failures both sides, why, and what happened; a sum."""
    lines: list[str] = []
    for result in results:
        lines.append(f"{'ok  ' if result.passed else 'FAIL'} {result.rule}: {result.name}")
        if not result.passed:
            lines += [f"     {line}".rstrip() for line in _failure(result)]
    failed = sum(not result.passed for result in results)
    lines.append(f"{len(results)} tests, {failed} failed")
    return "\n".join(lines)


def to_junit(results: Sequence[Result]) -> str:
    """Return `results` as the XML that build servers read: a suite for each rule."""
    failed = sum(not one.passed for one in results)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="dogwatch rules" tests="{len(results)}" failures="{failed}">',
    ]
    for rule, group in groupby(results, key=lambda one: one.rule):
        tests = list(group)
        wrong = sum(not one.passed for one in tests)
        lines.append(
            f'  <testsuite name={quoteattr(rule)} tests="{len(tests)}" failures="{wrong}">'
        )
        lines += [line for one in tests for line in _case(one)]
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>", ""])


def _case(result: Result) -> Iterator[str]:
    name, group = quoteattr(result.name), quoteattr(result.rule)
    place = f'file={quoteattr(result.path)} line="{result.line}"'
    head = f"    <testcase name={name} classname={group} {place}"
    if result.passed:
        yield f"{head}/>"
        return
    yield f"{head}>"
    wrong = next((one for one in result.outcomes if not one.passed), None)
    said = result.error or (f"expected {wrong.expected}, was {wrong.actual}" if wrong else "")
    yield f"      <failure message={quoteattr(said)}>"
    yield escape("\n".join(_failure(result)))
    yield "      </failure>"
    yield "    </testcase>"


def _failure(result: Result) -> list[str]:
    place = [f"at {result.path}:{result.line}"] if result.path else []
    if result.error:
        return [*place, result.error]
    wrong = [one for one in result.outcomes if not one.passed]
    return [
        *place,
        *_sides(wrong),
        *(line for one in wrong for line in _why(one)),
        f"what happened, from {rfc3339(EPOCH_US)} on:",
        *(f"  {one}" for one in result.history),
    ]


def _sides(wrong: Sequence[Outcome]) -> Iterator[str]:
    """Yield a table of what was expected beside what was."""
    ats = max(len("at"), *(len(one.at) for one in wrong))
    width = max(len("expected"), *(len(one.expected) for one in wrong))
    yield f"{'at':>{ats}}  {'expected':<{width}}  actual"
    for one in wrong:
        yield f"{one.at:>{ats}}  {one.expected:<{width}}  {one.actual}"


def _why(one: Outcome) -> Iterator[str]:
    if one.why:
        yield f"why at {one.at}:"
        yield from (f"  {line}" for line in one.why)
