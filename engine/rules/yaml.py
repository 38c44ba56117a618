"""YAML 1.2 with a place for every value; whatever is unsafe or ambiguous is refused.

Scalars mean what the core schema of YAML 1.2 says: `on`, `no` and `12:30` are texts. Anchors,
aliases, tags, duplicate keys, nesting below 32 levels and files above 1 MiB are faults.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

import yaml

from engine.model.errors import Fault
from engine.rules.wording import quoted

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 100_000
MAX_FAULTS: Final = 250
_TOO_MANY: Final = f"more than {MAX_VALUES} values"
_INT64: Final = 1 << 63

_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # YAML 1.2, 5.1
)
_NUMERIC: Final = frozenset("+-.0123456789")
"""First characters of numbers."""
_INT = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS: Mapping[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


class Broken(Enum):
    """Stands for a value whose fault is told already; nothing more is said about it."""

    VALUE = "broken"


_NO_KEYS: Final[Mapping[str, "Node"]] = MappingProxyType({})
Scalar = str | int | float | bool | None
Value = Scalar | Broken | tuple["Node", ...] | dict[str, "Node"]


@dataclass(frozen=True, slots=True)
class Node:
    """One value and its place; `line` and `column` count from 1.

    Attributes:
        value: a scalar, a tuple of nodes, or a dict of nodes by key text.
        span: first and last character of a scalar in the text of the file.
        keys: for a dict, the node of each key.
    """

    value: Value
    line: int
    column: int
    span: tuple[int, int] = (0, 0)
    keys: Mapping[str, "Node"] = field(default_factory=lambda: _NO_KEYS)

    def plain(self) -> Any:
        """Return the value without places: texts, numbers, lists and dicts."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(frozen=True, slots=True)
class Source:
    """One file: its text, the documents that could be read, and what is wrong with it."""

    path: str
    text: str
    documents: tuple[Node, ...]
    faults: tuple[Fault, ...]

    def place(self, node: Node, offset: int) -> tuple[int, int]:
        """Return line and column in the file of character `offset` of the scalar `node`.

        Folding, indentation and escapes make value and text differ, so the two are walked
        side by side; where they part for good the answer is the start of the scalar.
        """
        at, end = node.span
        for wanted in str(node.value)[: offset + 1]:
            if wanted.isspace():
                continue
            at = self.text.find(wanted, at, end) + 1
            if at == 0:
                return node.line, node.column
        start = max(at - 1, node.span[0])
        line_start = self.text.rfind("\n", 0, start) + 1
        return self.text.count("\n", 0, start) + 1, start - line_start + 1


def read(path: str, data: str | bytes) -> Source:
    """Return the documents of the file `path` with content `data`, and every fault found.

    After a syntax error the rest of that file can not be read; earlier documents stay.
    """
    try:
        text = _decoded(path, data)
    except _RefusedError as refused:
        return Source(path, "", (), (refused.fault,))
    composer = _Composer(path, text)
    documents = tuple(composer.documents())
    return Source(path, text, documents, tuple(composer.faults))


class _RefusedError(Exception):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(str(fault))


def _decoded(path: str, data: str | bytes) -> str:
    size = len(data) if isinstance(data, bytes) else len(data.encode(errors="surrogatepass"))
    if size > MAX_BYTES:
        message = f"the file has {size} bytes; at most {MAX_BYTES}"
        raise _RefusedError(Fault(path, 1, 1, message, code="size"))
    try:
        text = data.decode() if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        line, column = _position(before, len(before))
        message = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
        raise _RefusedError(Fault(path, line, column, message, code="utf8")) from None
    text = text.removeprefix("\ufeff")
    if bad := _UNPRINTABLE.search(text):
        line, column = _position(text, bad.start())
        message = f"character U+{ord(bad.group()):04X} is not allowed in YAML; write it escaped"
        raise _RefusedError(Fault(path, line, column, message, code="character"))
    return text


def _position(text: str, offset: int) -> tuple[int, int]:
    line_start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - line_start + 1


class _Composer:
    """Builds nodes from libyaml's events; lives for one file."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.faults: list[Fault] = []
        self._left = MAX_VALUES
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=yaml.CSafeLoader))

    def documents(self) -> Iterator[Node]:
        try:
            for event in self._events:
                if isinstance(event, yaml.NodeEvent):
                    yield self._node(event, 1)
        except _RefusedError as refused:
            self.faults.append(refused.fault)
        except yaml.MarkedYAMLError as error:
            self.faults.append(self._syntax(error))

    def _syntax(self, error: yaml.MarkedYAMLError) -> Fault:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        if mark and mark.index >= len(self.text):
            line, column = _position(self.text, len(self.text))
        problem = " ".join(filter(None, (error.problem, error.context)))
        if mark and self.text[mark.index : mark.index + 1] == "\t":
            problem = "a tab can not indent; use spaces"
        return Fault(self.path, line, column, f"not YAML: {problem}", code="syntax")

    def _say(self, event: Any, message: str, code: str) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if len(self.faults) >= MAX_FAULTS:
            raise _RefusedError(
                Fault(self.path, line, column, f"{MAX_FAULTS} faults already; read no further")
            )
        self.faults.append(Fault(self.path, line, column, message, code=code))

    def _node(self, event: Any, depth: int) -> Node:
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            what = f"nested deeper than {MAX_DEPTH} levels" if self._left >= 0 else _TOO_MANY
            message = f"{what}; the rest was not read"
            raise _RefusedError(Fault(self.path, line, column, message, code="depth"))
        kind = type(event)
        sound = kind is not yaml.AliasEvent and event.anchor is event.tag is None
        sound = sound or self._is_sound(event)
        if kind is yaml.SequenceStartEvent:
            value: Value = tuple(self._items(depth))
            return Node(value if sound else Broken.VALUE, line, column)
        if kind is yaml.MappingStartEvent:
            entries, keys = self._entries(depth)
            return Node(entries if sound else Broken.VALUE, line, column, keys=keys)
        scalar = self._scalar(event) if sound else Broken.VALUE
        return Node(scalar, line, column, (mark.index, event.end_mark.index))

    def _is_sound(self, event: Any) -> bool:
        """Tell of what is not allowed at a node: an alias, a tag, an anchor."""
        anchor, tag = event.anchor, getattr(event, "tag", None)
        if isinstance(event, yaml.AliasEvent):
            self._say(event, f"alias {quoted('*' + str(anchor))}: write the value out", "alias")
            return False
        if anchor:
            self._say(event, f"anchor {quoted('&' + anchor)}: anchors are not allowed", "anchor")
        if tag:
            self._say(event, f"tag {quoted(tag)}: tags are not allowed", "tag")
            return False
        return True

    def _items(self, depth: int) -> Iterator[Node]:
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                return
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> tuple[dict[str, Node], dict[str, Node]]:
        entries: dict[str, Node] = {}
        keys: dict[str, Node] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._node(event, depth + 1)
            name = self._key(event, key)
            value = self._node(next(self._events), depth + 1)
            if name is None:
                continue
            if name in entries:
                first = keys[name].line
                self._say(event, f"key {quoted(name)} is there already, line {first}", "duplicate")
                continue
            entries[name], keys[name] = value, key
        return entries, keys

    def _key(self, event: Any, key: Node) -> str | None:
        if isinstance(event, yaml.ScalarEvent) and key.value is not Broken.VALUE:
            return str(event.value)
        if key.value is not Broken.VALUE:
            self._say(event, "a key must be a text, not a list or a mapping", "key")
        return None

    def _scalar(self, event: Any) -> Scalar | Broken:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in _NUMERIC:
            return text
        number = _number(text)
        if isinstance(number, int) and not -_INT64 <= number < _INT64:
            self._say(event, f"number {quoted(text)} does not fit 64 bits", "number")
            return Broken.VALUE
        return text if number is None else number


def _number(text: str) -> int | float | None:
    """Return the number that `text` is in YAML 1.2's core schema; 2**63 stands for beyond."""
    if _INT.match(text):
        return int(text) if len(text) < 24 else _INT64  # noqa: PLR2004 - digits of any int64
    for pattern, radix in ((_OCTAL, 8), (_HEX, 16)):
        if pattern.match(text):
            return int(text[2:], radix) if len(text) < 24 else _INT64  # noqa: PLR2004 - as above
    return float(text) if _FLOAT.match(text) else None
