"""Where our compiler differs from the reference engine on purpose: all of it, with the reason."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

FAILED: Final = "the expression has no value"
REFUSED: Final = "the expression is refused"
UNSUPPORTED: Final = "the value is none of Python"


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        reason: why ours is as it is.
        explains: tells whether it explains the different outcomes of an expression: its source,
            our outcome or why we refuse it, and theirs.
        example: an expression that shows it; a test looks whether it still does.
        bindings: the values for the example.
    """

    reason: str
    explains: Callable[[str, Any, Any], object]
    example: str
    bindings: Mapping[str, Any] = field(default_factory=dict)


def _refused(*words: str) -> Callable[[str, Any, Any], object]:
    return lambda _, ours, theirs: isinstance(ours, str) and any(word in ours for word in words)


def _calls(*names: str, theirs: Any = None) -> Callable[[str, Any, Any], object]:
    def explains(source: str, _: Any, found: Any) -> bool:
        return any(name in source for name in names) and theirs in {None, found}

    return explains


KNOWN: Final = (
    Difference(
        "what can only fail is refused when it is loaded, also where it would never be reached",
        _refused(
            *("can not be the key of a map", "no RE2 pattern", "no duration", "no RFC 3339"),
            *("its keys are no strings", "int does not take (duration)"),
            "a list(null_type) is never equal",
        ),
        "true || 'a'.matches('(')",
    ),
    Difference(
        "a dict of Python holds only one of the keys 1, 1u and true; ours says so instead of"
        " losing an entry",
        lambda source, ours, _: ours == UNSUPPORTED and "{" in source,
        "size({a: 1, b: 2})",
        {"a": 1, "b": True},
    ),
    Difference(
        "the reference refuses a substring up to the very end of the text when that end is"
        " written; the definition of the strings extension allows it",
        _calls(".substring(", theirs=FAILED),
        "'abc'.substring(1, 3)",
    ),
    Difference(
        "a string holds characters: ours refuses bytes that are no UTF-8, which the reference"
        " puts into a text by %s",
        lambda source, ours, _: ours == FAILED and ".format(" in source,
        r"size('%s'.format([b'\xff']))",
    ),
    Difference(
        "the reference takes an error for the value of an optional one when what that holds can"
        " not be indexed",
        lambda source, ours, _: (
            ours == FAILED and re.search(r"\)\[.*(hasValue|optMap|[!=]=)", source)
        ),
        "optional.of(1.5)[0].hasValue()",
    ),
    Difference(
        "NaN has no sign in our texts; in those of the reference the processor decides",
        lambda source, *_: "math.sqrt(" in source and "string(" in source,
        "size(string(math.sqrt(-1.0)))",
    ),
)
