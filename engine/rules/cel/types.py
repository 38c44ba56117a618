"""Types of CEL, as a schema declares them and the checker infers them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

Type = Union["Scalar", "ListType", "MapType", "StructType", "OptionalType"]


@dataclass(frozen=True)
class Scalar:
    """A type without parts, known by its CEL name; `dyn` stands for any of them."""

    name: str

    def __str__(self) -> str:
        return self.name


DYN = Scalar("dyn")
INT = Scalar("int")
UINT = Scalar("uint")
DOUBLE = Scalar("double")
BOOL = Scalar("bool")
STRING = Scalar("string")
BYTES = Scalar("bytes")
NULL = Scalar("null_type")
TIMESTAMP = Scalar("google.protobuf.Timestamp")
DURATION = Scalar("google.protobuf.Duration")
TYPE = Scalar("type")

NUMBERS = frozenset({INT, UINT, DOUBLE})


@dataclass(frozen=True)
class ListType:
    """A list whose elements have the type `elem`."""

    elem: Type = DYN

    def __str__(self) -> str:
        return f"list({self.elem})"


@dataclass(frozen=True)
class MapType:
    """A map from `key` (int, uint, bool, string or dyn) to `value`."""

    key: Type = DYN
    value: Type = DYN

    def __str__(self) -> str:
        return f"map({self.key}, {self.value})"


@dataclass(frozen=True)
class StructType:
    """A map with named fields.

    A field that is not in `fields` is refused at compile time, with the nearest name, unless
    `open` is true: then it is dynamic.
    """

    name: str
    fields: Mapping[str, Type] = field(default_factory=dict)
    open: bool = False

    def __hash__(self) -> int:
        return hash((self.name, self.open, frozenset(self.fields)))

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class OptionalType:
    """A value of type `elem`, or none: what `a.?b` gives."""

    elem: Type = DYN

    def __str__(self) -> str:
        return f"optional_type({self.elem})"


def shape(of: Type) -> Type:
    """Return `of` without what its parts are: any list, any map, or the scalar itself."""
    if isinstance(of, ListType | OptionalType):
        return type(of)()
    return of if isinstance(of, Scalar) else MapType()


def fits(found: Type, wanted: Type) -> bool:
    """Tell whether a value of type `found` may be what `wanted` asks for.

    Unknown parts fit everything: only what must fail at run time is refused.
    """
    if DYN in {found, wanted}:
        return True
    for kind in (ListType, OptionalType):
        if isinstance(found, kind) and isinstance(wanted, kind):
            return fits(found.elem, wanted.elem)
    if isinstance(found, Scalar) or isinstance(wanted, Scalar):
        return found == wanted
    return shape(found) == shape(wanted)


def join(left: Type, right: Type) -> Type:
    """Return the type of a value that is either of `left` or of `right`."""
    if left == right:
        return left
    for kind in (ListType, OptionalType):
        if isinstance(left, kind) and isinstance(right, kind):
            return kind(join(left.elem, right.elem))
    if isinstance(left, MapType) and isinstance(right, MapType):
        return MapType(join(left.key, right.key), join(left.value, right.value))
    return DYN
