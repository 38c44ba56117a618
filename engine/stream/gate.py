"""Gate: one thing that a key of a rule has to pass, as a line for a person and as JSON."""

import json
from dataclasses import dataclass
from typing import Any, Final

from engine.model.ids import canonical
from engine.rules.cel import EvaluationError
from engine.rules.cel.comparisons import Compared

_SHOWN: Final = 60
_VERDICTS: Final = {True: "true", False: "false", None: "no verdict"}


@dataclass(frozen=True)
class Gate:
    """One gate.

    Attributes:
        name: field of the rule.
        verdict: yes, no, waits, holds back, or empty where there is nothing to pass.
        says: the input, the threshold, and what came of it.
        value: the value, where the gate is one (a measure).
        sides: both sides of each comparison of its expression.
    """

    name: str
    verdict: str
    says: str
    value: Any = None
    sides: tuple[Compared, ...] = ()

    def details(self) -> list[str]:
        """Return the comparisons as lines for a person."""
        return [
            f"{shown_of(one.left)} {one.sign} {shown_of(one.right)}  {_VERDICTS[one.holds]}"
            for one in self.sides
        ]

    def plain(self) -> dict[str, Any]:
        """Return the gate as JSON."""
        sides = [
            {"left": _json(one.left), "sign": one.sign, "right": _json(one.right),
             "holds": one.holds}
            for one in self.sides
        ]  # fmt: skip
        given = {"name": self.name, "verdict": self.verdict, "says": self.says}
        return {**given, "value": self.value, "comparisons": sides}


def shown_of(value: Any) -> str:
    """Return a value as a person reads it, cut where it is long."""
    if isinstance(value, EvaluationError):
        return f"<{value.message}>"
    text = value if isinstance(value, str) else _plain(value)
    text = f"'{text}'" if isinstance(value, str) else text
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _json(value: Any) -> Any:
    """Return a value as JSON; an error by what it says, and whether something is missing."""
    if isinstance(value, EvaluationError):
        return {"error": value.message, "missing": value.missing}
    return json.loads(canonical(value))


def _plain(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    try:
        return canonical(value).decode()
    except TypeError:
        return str(value)
