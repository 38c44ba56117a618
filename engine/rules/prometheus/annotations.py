"""Templates of Prometheus' annotations become templates of ours, where they are plain."""

import re
from collections.abc import Callable
from typing import Final

from engine.rules.prometheus.vector import RefusedError

MISSING: Final = "<none>"
"""Stands in a group key for a label that a series does not have."""
_TAG: Final = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_LABEL: Final = re.compile(r"\$labels\.([a-zA-Z_]\w*)\Z")
_FORMATTED: Final = re.compile(
    r"""printf\s+"%\.(\d)f%*"\s+\$value\Z|\$value\s*\|\s*(humanize\w*|printf\s+"%\.\d[fg]")\Z"""
)
_OURS: Final = re.compile(r"\{[%#{]|[%#}]\}")


def translated(
    text: str, label: Callable[[str], str], value: str, *, nearly: bool = False
) -> tuple[str, tuple[str, ...]]:
    """Return the template `text` of Prometheus as one of ours, and tags that differ a little.

    Args:
        text: the template.
        label: gives what shows a label of the alert, empty where the alert can not have it.
        value: what shows the value; empty where nothing can.
        nearly: show a value that Prometheus formats, rounded or as it is.

    Raises:
        RefusedError: it does more than to show labels and the value.
    """
    differing: list[str] = []

    def shown(tag: re.Match[str]) -> str:
        if found := _LABEL.match(tag[1]):
            inner = label(found[1])
            return f"{{{{ {inner} }}}}" if inner else ""
        if tag[1] == "$value" and value:
            return f"{{{{ {value} }}}}"
        if nearly and value and (formatted := _FORMATTED.match(tag[1])):
            differing.append(tag[0])
            places = formatted[1]
            return f"{{{{ {value} | round({places}) }}}}" if places else f"{{{{ {value} }}}}"
        raise RefusedError(
            tag[0],
            "a template shows labels and a value that the rule has, and calls no functions",
            "--nearly shows the value unformatted, or leaves the annotation out",
        )

    if _OURS.search(_TAG.sub("", text)):
        raise RefusedError(text, "it holds marks of templates outside of them", "leave them out")
    return _TAG.sub(shown, text), tuple(differing)


def templated(text: str) -> bool:
    """Whether `text` is filled in by Prometheus."""
    return "{{" in text
