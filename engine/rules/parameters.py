"""The parameters of a mission: known, and of the type that their kind gives them.

Types come as JSON schema, of which type, enum, bounds and anyOf are looked at. A template is
text until it is rendered, so only what is written out is checked. As the kinds themselves do,
numbers are taken from texts too, but no text from a number.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.rules.draft import entries
from engine.rules.shaping import Notes, found
from engine.rules.wording import choices, unknown
from engine.rules.yaml import Node


@dataclass(frozen=True)
class KindShape:
    """The parameters of one mission kind: JSON schema by name, and those that must be given.

    `later`: the language knows the kind, but it can not run yet.
    """

    params: Mapping[str, Mapping[str, Any]]
    required: frozenset[str] = field(default_factory=frozenset)
    later: bool = False


_WORDS: Final[Mapping[str, str]] = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
_FLAGS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "0", "1", "t", "f", "y", "n"})
_TAGS: Final = ("{{", "{%")


def check_parameters(kind: str, shape: KindShape, mission: Node, notes: Notes) -> None:
    """Tell which parameters of the node `mission` are unknown, missing or of a wrong type."""
    node = entries(mission).get("params")
    given = entries(node)
    for name, value in given.items():
        place = node.keys.get(name, value) if node is not None else value
        if name not in shape.params:
            notes.error(place, unknown("parameter", name, shape.params, of=kind), "parameter")
        elif problem := _problem(value, shape.params[name]):
            message = f"parameter '{name}' of {kind} must be {problem}, found {found(value)}"
            notes.error(value, message, "parameter-type")
    for name in sorted(shape.required - given.keys()):
        message = f"parameter '{name}' of {kind} is missing"
        notes.error(entries(mission)["kind"], message, "parameter")


def _problem(node: Node, schema: Mapping[str, Any]) -> str:
    """Return what the value must be, empty when it is."""
    value = node.value
    if isinstance(value, str) and any(tag in value for tag in _TAGS):
        return ""
    options: Iterable[Mapping[str, Any]] = schema.get("anyOf", (schema,))
    problems = [_mismatch(node, option) for option in options]
    return "" if "" in problems else " or ".join(dict.fromkeys(problems))


def _mismatch(node: Node, schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        allowed = [str(one) for one in schema["enum"]]
        return "" if str(node.value) in allowed else f"one of {choices(allowed)}"
    type_ = schema.get("type", "")
    if type_ not in _WORDS:
        return ""
    number = _is(node.value, type_)
    if number is None:
        return _WORDS[type_]
    return _beyond(number, schema) if type_ in {"integer", "number"} else ""


def _is(value: Any, type_: str) -> float | None:
    """Return the number that `value` is as a `type_` (0 for what is none), None for a misfit."""
    match type_:
        case "integer" | "number":
            return _number(value, whole=type_ == "integer")
        case "boolean":
            fits = isinstance(value, bool) or str(value).lower() in _FLAGS
        case "string":
            fits = isinstance(value, str)
        case "array":
            fits = isinstance(value, tuple)
        case "object":
            fits = isinstance(value, dict)
        case _:
            fits = value is None
    return 0 if fits else None


def _number(value: Any, *, whole: bool) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return None if whole and not number.is_integer() else number


def _beyond(number: float, schema: Mapping[str, Any]) -> str:
    for word, what, holds in (
        ("minimum", "at least", number >= schema.get("minimum", number)),
        ("maximum", "at most", number <= schema.get("maximum", number)),
        ("exclusiveMinimum", "more than", number > schema.get("exclusiveMinimum", number - 1)),
        ("exclusiveMaximum", "less than", number < schema.get("exclusiveMaximum", number + 1)),
    ):
        if not holds:
            return f"{what} {schema[word]}"
    return ""
