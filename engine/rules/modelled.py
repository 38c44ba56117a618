"""What pydantic says of a YAML file, as faults: where, what was found, what is allowed."""

import re
from collections.abc import Sequence
from types import UnionType
from typing import Any, Final, TypeAlias, Union, get_args, get_origin

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
_FORMS: Final = (
    (r"^https?://", "expected an address that begins with http:// or https://, without a query"),
    (r"^(\[[0-9a-fA-F:]+\]|[^:", "expected HOST:PORT"),
    (r"^[a-z0-9]([a-z0-9.-]", "expected a name of small letters, digits, '-' and '.'"),
    (r"^[a-zA-Z_:]", "expected a name of letters, digits, '_' and ':', not a digit first"),
    (r"^/", "expected a path that begins with /"),
    ("", "it holds a character that is not allowed, is empty or too long"),
)
"""What is expected where a pattern that begins so is not matched."""
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
    said = _said(details)
    shown = f", found {quoted(str(found))}" if plain and quoted(str(found)) not in said else ""
    return f"{where or 'the file'}: {said}{shown}"


def _said(details: ErrorDetails) -> str:
    if details["type"] == "string_pattern_mismatch":
        pattern = str(details.get("ctx", {}).get("pattern", ""))
        return next(words for begin, words in _FORMS if pattern.startswith(begin))
    return _EXPECTED.get(details["type"], details["msg"].removeprefix("Value error, "))


def _is_hidden(details: ErrorDetails, where: str) -> bool:
    """Whether the value may be a secret, or hold one."""
    shown = str(details.get("input"))[:4096]
    secret = _SECRET.search(where) or _ADDRESS.search(shown)
    return details["type"] in _BLOCKS or secret is not None


def fields_of(model: type[BaseModel], where: Where) -> list[str]:
    """Return the fields allowed at `where` of `model`, none where that is no block."""
    found: Any = model
    for step in where:
        found = _step(found, step)
    known = getattr(_model(found), "model_fields", {})
    return [field.alias or name for name, field in known.items()]


def _step(annotation: Any, step: int | str) -> Any:
    """Return what is at `step` of a block, of a list or of a mapping from names."""
    block = _model(annotation)
    if block is not None:
        fields = {field.alias or name: field for name, field in block.model_fields.items()}
        return fields[str(step)].annotation if step in fields else None
    inner = [part for one in _parts(annotation) for part in get_args(one) if get_origin(one)]
    return next((one for one in reversed(inner) if one is not Ellipsis), None)


def _parts(annotation: Any) -> list[Any]:
    """Return what is a choice among others, each by itself."""
    union = get_origin(annotation) in {Union, UnionType}
    return list(get_args(annotation)) if union else [annotation]


def _model(annotation: Any) -> Any:
    return next((one for one in _parts(annotation) if hasattr(one, "model_fields")), None)
