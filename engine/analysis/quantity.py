"""Quantities of Kubernetes (`100m`, `1.5Gi`, `2e3`), exactly, as fractions.

Source: k8s.io/apimachinery/pkg/api/resource, the grammar of Quantity.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d{1,3})?")
_LONGEST = 64
_BINARY: Final = ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki")
_SUFFIX: Final[Mapping[str, Fraction]] = {
    "": Fraction(1),
    **{name: Fraction(1, 1000**power) for power, name in ((1, "m"), (2, "u"), (3, "n"))},
    **{name: Fraction(1000**power) for power, name in enumerate("kMGTPE", 1)},
    **{name: Fraction(1024 ** (6 - place)) for place, name in enumerate(_BINARY)},
}


def parse(value: Any) -> Fraction | None:
    """Return the amount that `value` (text, or a number of YAML) names, None if it is none."""
    if isinstance(value, float):
        value = str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return Fraction(value)
    return _read(value) if _is_short(value) else None


@lru_cache(maxsize=4096)
def _read(text: str) -> Fraction | None:
    """Read a text; the pods of a cluster ask for few different amounts."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        return None
    suffix = match[2] or ""
    if suffix in _SUFFIX:
        return Fraction(match[1]) * _SUFFIX[suffix]
    return Fraction(match[1]) * Fraction(10) ** int(suffix[1:])


def _is_short(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST


def show(resource: str, amount: Fraction) -> str:
    """Return `amount` of `resource` as a person writes it: `500m`, `1.5Gi`, `3`."""
    if resource == "cpu":
        return f"{_decimal(amount)}" if amount.denominator == 1 else f"{float(amount * 1000):g}m"
    if resource in {"memory", "ephemeral-storage"} or resource.startswith("hugepages-"):
        for suffix in _BINARY:
            if abs(amount) >= _SUFFIX[suffix]:
                return f"{_decimal(amount / _SUFFIX[suffix])}{suffix}"
    return _decimal(amount)


def _decimal(amount: Fraction) -> str:
    return f"{round(float(amount), 2):g}" if abs(amount) < 10**6 else str(round(amount))
