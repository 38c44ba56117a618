"""Cut a JSON array into its elements without reading them, however broken they are."""

import re
from collections.abc import Iterator

from engine.bus.element import ELEMENT_LIMIT, MAX_DEPTH, Fault, Reason

_TEXT = rb'"(?:[^"\\]|\\.)*+"'
_TOKEN = re.compile(_TEXT + rb'|["{}\[\],]', re.DOTALL)
_TEXTS = re.compile(_TEXT, re.DOTALL)
MAX_ELEMENTS = 10_000
"""Elements of one record; what follows them is one bad element."""
_SPACE = b" \t\r\n"
_STEP = {b"{": 1, b"[": 1, b"}": -1, b"]": -1}
_NOT_MARKS = bytes(set(range(256)) - set(b'{}[]"\\'))
_NOT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_ROUND = bytes.maketrans(b"[]", b"{}")


def split_array(record: bytes) -> Iterator[tuple[bytes, Fault | None]]:
    """Yield each element of the array `record` with the fault that its bounds show, if any.

    A lone object is yielded whole, and so is what can not be told apart: the rest of an array
    that is cut off, or no array at all. No byte is lost.
    """
    body = record.strip(_SPACE)
    if body[:1] == b"{":
        (_, fault), *more = _elements(b"[" + body + b"]")
        yield body, Fault(Reason.BAD_JSON, "bytes after the event") if more else fault
        return
    if body[:1] != b"[":
        yield record, Fault(Reason.NOT_A_BATCH, "no JSON array of events")
        return
    yield from _elements(body)


def deeper_than(levels: int, record: bytes) -> bool:
    """Whether the valid JSON text `record` nests deeper than `levels`."""
    marks = record.translate(None, _NOT_MARKS).replace(b'""', b"")
    if b'"' in marks or b"\\" in marks:
        # A bracket may stand within a text: only without texts do brackets count.
        marks = _TEXTS.sub(b"", record).translate(None, _NOT_BRACKETS)
    marks = marks.translate(_ROUND)
    for _ in range(levels):
        if not marks:
            return False
        marks = marks.replace(b"{}", b"")
    return bool(marks)


def _elements(body: bytes) -> Iterator[tuple[bytes, Fault | None]]:
    depth = deepest = count = 0
    start = 1
    for token in _TOKEN.finditer(body):
        mark = token[0]
        if mark == b'"' or count == MAX_ELEMENTS:
            break
        depth += _STEP.get(mark, 0)
        deepest = max(deepest, depth)
        if depth == 0 or (depth == 1 and mark == b","):
            yield from _element(body[start : token.start()], deepest - 1, last=depth == 0)
            start, deepest, count = token.end(), 1, count + 1
        if depth == 0:
            break
    yield from _rest(body[start:], complete=depth == 0, full=count == MAX_ELEMENTS)


def _element(raw: bytes, depth: int, *, last: bool) -> Iterator[tuple[bytes, Fault | None]]:
    raw = raw.strip(_SPACE)
    if not raw and last:
        return
    fault = None
    if len(raw) > ELEMENT_LIMIT:
        detail = f"element of {len(raw)} bytes; allowed are {ELEMENT_LIMIT}"
        fault = Fault(Reason.TOO_LARGE, detail)
    elif depth > MAX_DEPTH:
        fault = Fault(Reason.TOO_DEEP, f"{depth} levels; allowed are {MAX_DEPTH}")
    yield raw, fault


def _rest(raw: bytes, *, complete: bool, full: bool) -> Iterator[tuple[bytes, Fault | None]]:
    raw = raw.strip(_SPACE)
    if complete and not raw:
        return
    if complete:
        fault = Fault(Reason.BAD_JSON, "bytes after the end of the array")
    elif full:
        fault = Fault(Reason.TOO_LARGE, f"more than {MAX_ELEMENTS} elements")
    else:
        fault = Fault(Reason.TRUNCATED, "the array ends within this element")
    yield raw, fault
