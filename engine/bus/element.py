"""One element of a record: a signal, or the reason why it is none."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NoReturn

import msgspec

from engine.model.errors import nearest
from engine.model.signal import Signal

ELEMENT_LIMIT = 1 << 20
"""Bytes of one element."""
MAX_DEPTH = 64
"""Levels of objects and lists within one element."""
MIN_YEAR, MAX_YEAR = 1970, 9998
_INT_RANGE = range(-(2**63), 2**64)
INT_DIGITS = 20
"""Fewer digits always fit 64 bits."""
_SHOWN = 60
_REQUIRED = ("specversion", "id", "source", "type", "time")
_TEXTS = ("id", "source", "type", "cluster", "subject", "datacontenttype")
_ONE = msgspec.json.Decoder(Signal)


class Reason(StrEnum):
    """Why bytes are no signal: the label of the metric, and the first word for a person."""

    DAMAGED = "damaged"
    TOO_LARGE = "too-large"
    TOO_DEEP = "too-deep"
    TRUNCATED = "truncated"
    BAD_UTF8 = "bad-utf8"
    BAD_JSON = "bad-json"
    NOT_A_BATCH = "not-a-batch"
    NOT_AN_EVENT = "not-an-event"
    DUPLICATE_KEY = "duplicate-key"
    NOT_A_NUMBER = "not-a-number"
    NUMBER_RANGE = "number-range"
    MISSING_ATTRIBUTE = "missing-attribute"
    BAD_ATTRIBUTE = "bad-attribute"
    SPECVERSION = "specversion"
    BAD_TIME = "bad-time"
    BAD_DATA = "bad-data"


@dataclass(frozen=True)
class Fault:
    """Why an element is no signal."""

    reason: Reason
    detail: str


class _Refused(Exception):  # noqa: N818 - never leaves this file
    def __init__(self, reason: Reason, detail: str) -> None:
        self.fault = Fault(reason, detail)
        super().__init__(detail)


def read_element(raw: bytes) -> Signal | Fault:
    """Return the signal that `raw` is, or the first fault found. Never raises.

    `raw` nests no deeper than MAX_DEPTH and holds at most ELEMENT_LIMIT bytes.
    """
    try:
        _check(_parse(raw))
        return _ONE.decode(raw)
    except _Refused as refused:
        return refused.fault
    except (ValueError, OverflowError, RecursionError) as error:
        return Fault(Reason.BAD_ATTRIBUTE, str(error))


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(
            raw.decode(),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_bounded_int,
            parse_float=_finite,
        )
    except UnicodeDecodeError as error:
        raise _Refused(Reason.BAD_UTF8, f"byte {error.start} is no UTF-8") from None
    except json.JSONDecodeError as error:
        raise _Refused(Reason.BAD_JSON, f"{error.msg} at character {error.pos}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise _Refused(Reason.DUPLICATE_KEY, f"key {double[:_SHOWN]!a} stands there twice")
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise _Refused(Reason.NOT_A_NUMBER, f"{text} is no JSON number")


def _bounded_int(text: str) -> int:
    if len(text) > INT_DIGITS or (value := int(text)) not in _INT_RANGE:
        detail = f"integer of {len(text)} characters; allowed are 64 bits"
        raise _Refused(Reason.NUMBER_RANGE, detail)
    return value


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _Refused(Reason.NUMBER_RANGE, f"{text[:_SHOWN]} is beyond a double")
    return value


def _check(event: Any) -> None:
    if not isinstance(event, dict):
        kind = type(event).__name__
        raise _Refused(Reason.NOT_AN_EVENT, f"a JSON {kind}; allowed is an object")
    for fault in _faults(event):
        raise _Refused(fault.reason, fault.detail)


def _faults(event: dict[str, Any]) -> Iterator[Fault]:
    for name in _REQUIRED:
        if name not in event and name != "specversion":
            guess = nearest(name, event)
            yield Fault(Reason.MISSING_ATTRIBUTE, f"attribute '{name}' is missing{guess}")
    version = event.get("specversion", "1.0")
    if version != "1.0":
        yield Fault(Reason.SPECVERSION, f"specversion {str(version)[:_SHOWN]!a}; allowed is '1.0'")
    for name in _TEXTS:
        yield from _text_faults(name, event.get(name, "-"))
    yield from _time_faults(event["time"])
    yield from _data_faults(event)


def _text_faults(name: str, value: Any) -> Iterator[Fault]:
    if value is None and name in {"subject", "datacontenttype"}:
        return
    if not isinstance(value, str):
        yield Fault(Reason.BAD_ATTRIBUTE, f"attribute '{name}' is no text")
    elif not value and name in _REQUIRED:
        yield Fault(Reason.BAD_ATTRIBUTE, f"attribute '{name}' is empty")
    elif "\0" in value:
        yield Fault(Reason.BAD_ATTRIBUTE, f"attribute '{name}' holds a zero character")


def _time_faults(value: Any) -> Iterator[Fault]:
    try:
        at = msgspec.convert(value, datetime)
    except msgspec.ValidationError as error:
        yield Fault(Reason.BAD_TIME, f"time {str(value)[:_SHOWN]!a}: {error}")
        return
    if at.tzinfo is None:
        yield Fault(Reason.BAD_TIME, f"time {value!a} has no zone; write for example {value}Z")
    elif not MIN_YEAR <= at.year <= MAX_YEAR:
        yield Fault(Reason.BAD_TIME, f"year {at.year}; allowed are {MIN_YEAR} to {MAX_YEAR}")


def _data_faults(event: dict[str, Any]) -> Iterator[Fault]:
    if "data_base64" in event:
        yield Fault(Reason.BAD_DATA, "data_base64 is not read; send data as a JSON object")
    if not isinstance(event.get("data", {}), dict):
        kind = type(event["data"]).__name__
        yield Fault(Reason.BAD_DATA, f"data is a JSON {kind}; allowed is an object")
