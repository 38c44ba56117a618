"""Regular expressions, all of RE2: matches(), and the regex extension of CEL."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import re2

from engine.rules.cel.errors import ARGUMENT, CONVERSION, EvaluationError
from engine.rules.cel.meter import Meter
from engine.rules.cel.optionals import NONE, Optional

MAX_PATTERN: Final = 1_000
_COMPILE_COST: Final = 6_000
_MATCH_COST: Final = 60
_REWRITE: Final = re.compile(r"\\(?:([0-9])|(\\)|)")


def _options(memory: int) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = memory
    return options


LITERAL: Final = _options(1 << 20)
COMPUTED: Final = _options(1 << 16)
"""A pattern that is made during an evaluation must be small: it takes at most 1 ms to compile."""


def pattern(text: str, options: Any) -> Any:
    """Return the compiled RE2 `text`.

    Raises:
        EvaluationError: argument, when RE2 refuses it or it is longer than MAX_PATTERN.
    """
    if len(text) > MAX_PATTERN:
        raise EvaluationError(ARGUMENT, f"a pattern has more than {MAX_PATTERN} characters")
    try:
        return re2.compile(text, options)
    except (re2.error, UnicodeEncodeError) as error:
        why = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise EvaluationError(ARGUMENT, f"{text[:60]!r} is no RE2 pattern: {why}") from error


def _computed(meter: Meter, text: str) -> Any:
    meter.spend(_COMPILE_COST + len(text))
    return pattern(text, COMPUTED)


def matches(meter: Meter, text: str, expression: str) -> bool:
    """Tell whether `expression` (RE2) matches anywhere in `text`."""
    return found(meter, text, _computed(meter, expression))


def found(meter: Meter, text: str, compiled: Any) -> bool:
    """Tell whether a compiled pattern matches anywhere in `text`; priced as in `_all`."""
    meter.spend(16 + (len(text) * compiled.programsize >> 3))
    try:
        return compiled.search(text) is not None
    except UnicodeEncodeError as error:
        raise EvaluationError(CONVERSION, "the string holds a lone surrogate") from error


def _all(meter: Meter, text: str, compiled: Any) -> Iterator[Any]:
    """Yield the matches from left to right.

    The price of each is that of the worst case, every instruction of the pattern at every
    character that is left.
    """
    searching = compiled.finditer(text)
    begin = 0
    while True:
        meter.spend(16 + ((len(text) - begin) * compiled.programsize >> 3))
        try:
            match = next(searching, None)
        except UnicodeEncodeError as error:
            raise EvaluationError(CONVERSION, "the string holds a lone surrogate") from error
        if match is None:
            return
        yield match
        begin = match.end()
        meter.spend(_MATCH_COST)


def extract(meter: Meter, text: str, expression: str) -> Optional:
    """Return the first match, or what its only group holds; none where nothing matches."""
    compiled = _one_group(meter, expression)
    match = next(_all(meter, text, compiled), None)
    return NONE if match is None else Optional(match[compiled.groups] or "")


def extract_all(meter: Meter, text: str, expression: str) -> list[str]:
    """Return what extract() gives for every match, but for empty ones."""
    compiled = _one_group(meter, expression)
    return [part for match in _all(meter, text, compiled) if (part := match[compiled.groups])]


def _one_group(meter: Meter, expression: str) -> Any:
    compiled = _computed(meter, expression)
    if compiled.groups > 1:
        raise EvaluationError(ARGUMENT, f"{expression[:60]!r} has more than one group")
    return compiled


def replace(meter: Meter, text: str, expression: str, by: str) -> str:
    r"""Replace every match; `\1` to `\9` in `by` are the groups of the match, `\0` is all."""
    return replace_some(meter, text, expression, by, -1)


def replace_some(meter: Meter, text: str, expression: str, by: str, count: int) -> str:
    """Replace the first `count` matches, all of them when it is negative."""
    if count == 0:
        return text
    compiled = _computed(meter, expression)
    _check_rewrite(by, compiled.groups)
    parts, end, used = list[str](), 0, -1
    for match in _all(meter, text, compiled):
        if match.start() == match.end() == used:  # RE2 takes no empty match behind a match
            continue
        rewritten = _REWRITE.sub(partial(_rewritten, match), by)
        meter.spend_text(len(rewritten) + 16 * len(by))
        parts += (text[end : match.start()], rewritten)
        end = used = match.end()
        count -= 1
        if count == 0:
            break
    meter.spend_text(len(text))
    return "".join((*parts, text[end:]))


def _check_rewrite(by: str, groups: int) -> None:
    for sign in _REWRITE.finditer(by):
        if sign[1] is None and sign[2] is None:
            raise EvaluationError(ARGUMENT, r"a \ in a replacement stands before a digit or a \ ")
        if int(sign[1] or 0) > groups:
            raise EvaluationError(
                ARGUMENT, f"the replacement asks for group {sign[1]}; the pattern has {groups}"
            )


def _rewritten(match: Any, sign: re.Match[str]) -> str:
    return "\\" if sign[1] is None else str(match[int(sign[1])] or "")
