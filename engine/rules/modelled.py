"""What pydantic says of a YAML file, as faults: where, what was found, what is allowed."""

import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from engine.rules.wording import quoted, unknown
from engine.rules.yaml import Node

Where: TypeAlias = tuple[int | str, ...]
_ADDRESS: Final = re.compile(r"://|@")
_SECRET: Final = re.compile(r"(secret|password|token|url|header)[^.]*$")
_CHOICES: Final = {"enum", "literal_error"}
_EXPECTED: Final = {
    "dict_type": "expected a mapping",
    "model_type": "expected a mapping",
    "tuple_type": "expected a list",
    "string_type": "expected a text",
    "int_type": "expected a whole number",
    "bool_type": "expected true or false",
    "too_short": "expected at least one entry",
    "missing": "it is missing",
}
_BLOCKS: Final = {"model_type", "dict_type", "model_attributes_type"}


def place(root: Node, where: Where) -> tuple[int, int]:
    """Return line and column of the value at `where`, of its nearest parent where absent."""
    node = root
    found = (node.line, node.column)
    for step in where:
        value = node.value
        if isinstance(value, dict) and str(step) in value:
            key = node.keys[str(step)]
            node, found = value[str(step)], (key.line, key.column)
        elif isinstance(value, tuple) and isinstance(step, int) and step < len(value):
            node = value[step]
            found = (node.line, node.column)
        else:
            break
    return found


def message(details: ErrorDetails, fields: Sequence[str]) -> str:
    """Return the sentence about one fault; `fields` are those allowed beside it.

    What may be a secret is not shown: values of such fields, addresses, texts in place of blocks.
    """
    where = ".".join(str(step) for step in details["loc"] if step != "[key]")
    found = details.get("input")
    if details["type"] == "extra_forbidden":
        return unknown("field", str(details["loc"][-1]), fields)
    plain = isinstance(found, str | int | float) and not _is_hidden(details, where)
    if details["type"] in _CHOICES and isinstance(found, str) and plain:
        choices = re.findall(r"'([^']*)'", str(details.get("ctx", {}).get("expected", "")))
        return f"{where}: {unknown('value', found, choices)}"
    shown = f", found {quoted(str(found))}" if plain else ""
    said = _EXPECTED.get(details["type"], details["msg"].removeprefix("Value error, "))
    return f"{where or 'the file'}: {said}{shown}"


def _is_hidden(details: ErrorDetails, where: str) -> bool:
    """Whether the value may be a secret, or hold one."""
    shown = str(details.get("input"))[:4096]
    secret = _SECRET.search(where) or _ADDRESS.search(shown)
    return details["type"] in _BLOCKS or secret is not None


def fields_of(model: type[BaseModel], where: Where) -> list[str]:
    """Return the fields allowed at `where` of `model`, none where that is no block."""
    found: Any = model
    for step in where:
        if isinstance(step, str) and step in getattr(found, "model_fields", {}):
            found = _inner(found.model_fields[step].annotation)
    known = getattr(found, "model_fields", {})
    return [field.alias or name for name, field in known.items()]


def _inner(annotation: Any) -> Any:
    """Return the model within `Model`, `tuple[Model, ...]` or `dict[str, Model]`."""
    if hasattr(annotation, "model_fields"):
        return annotation
    parts = getattr(annotation, "__args__", ())
    return next((found for one in parts if (found := _inner(one)) is not None), None)
