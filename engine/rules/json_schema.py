"""The JSON schema of rule files, made from the grammar; editors check and complete with it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.rules.grammar import GROUP, TESTS
from engine.rules.shapes import (
    MAX_TEXT,
    Anything,
    Duration,
    Either,
    Expression,
    Flag,
    Items,
    Record,
    Shape,
    Span,
    Table,
    Text,
    Whole,
)

_DIALECT: Final = "http://json-schema.org/draft-07/schema#"
_DURATION_PATTERN: Final = r"^([0-9]+(ms|s|m|h|d|w))+$"


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of rule files and of test files, which the kind tells apart.

    It is of draft 7, which yaml-language-server reads best.
    """
    tests = {"properties": {"kind": {"const": "RuleTests"}}, "required": ["kind"]}
    return {
        "$schema": _DIALECT,
        "title": "dogwatch rules",
        "if": tests,
        "then": _of(TESTS),
        "else": _of(GROUP),
    }


def _of(shape: Shape) -> dict[str, Any]:
    return _MAKERS[type(shape)](shape)


def _text(shape: Text) -> dict[str, Any]:
    if shape.choices:
        return {"enum": list(shape.choices)}
    hint = {"patternErrorMessage": f"expected {shape.hint}"} if shape.hint else {}
    pattern = {"pattern": shape.pattern} if shape.pattern else {}
    return {"type": "string", "maxLength": MAX_TEXT, **pattern, **hint}


def _duration(shape: Duration) -> dict[str, Any]:
    text = {"type": "string", "pattern": _DURATION_PATTERN}
    return {"anyOf": [text, {"enum": [0, "0"]}]} if shape.zero else text


def _span(shape: Span) -> dict[str, Any]:
    least = -shape.most if shape.negative else shape.least
    number = {"type": "integer", "minimum": least, "maximum": shape.most}
    one = "|".join([*shape.names, *(["-?[0-9]+"] if shape.numbers else [])])
    text = {"type": "string", "pattern": f"^({one})(:({one}))?$"}
    return {"anyOf": [text, number]} if shape.numbers else text


def _items(shape: Items) -> dict[str, Any]:
    most = {"maxItems": shape.most} if shape.most else {}
    return {"type": "array", "items": _of(shape.of), "minItems": shape.least, **most}


def _table(shape: Table) -> dict[str, Any]:
    names = {"propertyNames": {"pattern": shape.key}} if shape.key else {}
    return {"type": "object", "additionalProperties": _of(shape.of), **names}


def _record(shape: Record) -> dict[str, Any]:
    properties = {
        name: {**_of(field.shape), "description": field.doc} for name, field in shape.fields.items()
    }
    required = [name for name, field in shape.fields.items() if field.required]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        **({"required": required} if required else {}),
    }


_MAKERS: Final[Mapping[type, Callable[[Any], dict[str, Any]]]] = {
    Text: _text,
    Expression: lambda _: {"type": "string", "maxLength": MAX_TEXT},
    Flag: lambda _: {"type": "boolean"},
    Whole: lambda shape: {"type": "integer", "minimum": shape.least, "maximum": shape.most},
    Duration: _duration,
    Span: _span,
    Anything: lambda _: {},
    Items: _items,
    Table: _table,
    Either: lambda shape: {"anyOf": [_of(shape.short), _of(shape.long)]},
    Record: _record,
}
