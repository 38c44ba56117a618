"""The signal stream of a rule as types: what its expressions and group key can name."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from engine.model.schema import DataShape, data_shape
from engine.model.signal import ENVELOPE
from engine.rules.cel.types import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    ListType,
    MapType,
    StructType,
    Type,
)
from engine.rules.rule import Selector
from engine.rules.wording import short

_WORDS: Final[Mapping[str, Type]] = {
    "string": STRING,
    "int": INT,
    "double": DOUBLE,
    "bool": BOOL,
    "timestamp": TIMESTAMP,
    "dyn": DYN,
    "list(string)": ListType(STRING),
    "map(string)": MapType(STRING, STRING),
}
_ATTRIBUTES: Final[Mapping[str, Type]] = {
    "id": STRING,
    "source": STRING,
    "type": STRING,
    "time": TIMESTAMP,
    "cluster": STRING,
    "subject": STRING,
}
PREFILTERS: Final[Mapping[str, str]] = {
    "kinds": "kind",
    "reasons": "reason",
    "metrics": "metric",
    "namespaces": "namespace",
    "labels": "labels",
}
"""Which field of the data each list of a selector looks at."""


def shape_of(selector: Selector) -> DataShape:
    """Return what the data of the signals that `selector` passes may hold."""
    return _shape(selector.type, selector.kinds)


@lru_cache(maxsize=1024)
def _shape(type_: str, kinds: tuple[str, ...]) -> DataShape:
    return data_shape(type_, kinds)


Stream = tuple[tuple[str, tuple[str, ...]], ...]
"""Type and kinds of each selector: all that the types of a stream depend on."""


def stream_of(selectors: Iterable[Selector]) -> Stream:
    """Return what the types of the signals that `selectors` pass depend on."""
    return tuple((selector.type, selector.kinds) for selector in selectors)


@lru_cache(maxsize=1024)
def signal_type(stream: Stream) -> StructType:
    """Return the type of `signal`: the union over what the selectors of `stream` pass."""
    shapes = [_shape(type_, kinds) for type_, kinds in stream]
    fields: dict[str, Type] = {}
    for shape in shapes:
        for name, type_ in _types(shape.fields).items():
            fields[name] = type_ if fields.get(name, type_) == type_ else DYN
    opened = not shapes or any(shape.open for shape in shapes)
    data = StructType(_name(stream), fields, opened)
    envelope = {name: fields[name] for name in ENVELOPE if name in fields}
    return StructType("signal", {**_ATTRIBUTES, **envelope, "data": data}, opened)


def _types(fields: Mapping[str, str]) -> dict[str, Type]:
    return {name: _WORDS[word] for name, word in fields.items()}


def _name(stream: Stream) -> str:
    """Return how messages call the data: `k8s.object Pod`."""
    names = [" ".join([type_, short("/".join(kinds))]).strip() for type_, kinds in stream]
    return " or ".join(dict.fromkeys(names))


def has_path(selector: Selector, path: str) -> bool:
    """Tell whether signals that `selector` passes can have the group key `path`."""
    shape = shape_of(selector)
    if path.startswith("labels."):
        return shape.open or "labels" in shape.fields
    parts = path.removeprefix("signal.").split(".")
    if parts[0] == "data" and len(parts) > 1:
        return _in_data(shape, parts[1:])
    if parts[0] in _ATTRIBUTES or parts[0] == "data":
        return True
    return parts[0] in ENVELOPE and (shape.open or parts[0] in shape.fields)


def _in_data(shape: DataShape, parts: list[str]) -> bool:
    word = shape.fields.get(parts[0], "dyn" if shape.open else "")
    return word == "dyn" or word.startswith("map(") or (bool(word) and len(parts) == 1)
