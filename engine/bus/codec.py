"""A record of the bus is a CloudEvents JSON batch; one bad element costs only itself.

Source: CloudEvents 1.0.2, JSON event format (batch).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from gc import get_referents
from typing import Any

import msgspec

from engine.bus.element import (
    ELEMENT_LIMIT,
    INT_DIGITS,
    MAX_DEPTH,
    MAX_YEAR,
    MIN_YEAR,
    Fault,
    Reason,
    read_element,
)
from engine.bus.split import MAX_ELEMENTS, deeper_than, split_array
from engine.model.signal import Signal

RECORD_LIMIT = 4 << 20
"""Bytes of one record."""
BATCH_LIMIT = 500
"""Signals of one record."""

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(list[Signal])
_ANY = msgspec.json.Decoder()
_SURELY_SHALLOW = MAX_DEPTH // 2
_LONG_INT = b"0" * INT_DIGITS
_DIGITS = bytes(ord("0") if chr(byte).isdecimal() else byte for byte in range(128)) + bytes(128)


class Damaged(bytes):
    """A record that was stored whole and came back with another checksum."""

    __slots__ = ()


@dataclass(frozen=True)
class Bad:
    """Bytes that are no signal: `reason` is a stable word, `detail` a sentence."""

    reason: str
    detail: str
    raw: bytes


@dataclass(frozen=True)
class Decoded:
    """What one record held; signals and bad elements each in their order."""

    signals: list[Signal] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)


def encode(signals: Sequence[Signal]) -> bytes:
    """Return `signals` as one JSON array in its canonical form; a NaN becomes null.

    Raises:
        ValueError: a signal holds what JSON has no form for; the message names its id.
    """
    try:
        return _ENCODER.encode(signals)
    except (ValueError, TypeError, OverflowError, RecursionError):
        for signal in signals:
            _encode_one(signal)
        raise


def batches(signals: Iterable[Signal]) -> Iterator[tuple[str, bytes]]:
    """Yield (cluster, record) so that each record holds one cluster and keeps the limits.

    The order of the signals of a cluster is kept. A signal that is too large for any record
    becomes a record of its own, which `decode` then gives back as bad.

    Raises:
        ValueError: see `encode`.
    """
    by_cluster: dict[str, list[Signal]] = {}
    for signal in signals:
        by_cluster.setdefault(signal.cluster, []).append(signal)
    for cluster, own in by_cluster.items():
        for start in range(0, len(own), BATCH_LIMIT):
            for record in _fitting(own[start : start + BATCH_LIMIT]):
                yield cluster, record


def decode(record: bytes) -> Decoded:
    """Return the signals of `record` and what could not be read, bytes included.

    A record is a JSON array of events; a lone event counts as an array of one. Never raises.
    A record without anything odd takes the short way; any other is read element by element,
    with the same verdict.
    """
    if isinstance(record, Damaged):
        return _whole(record, Reason.DAMAGED, "the checksum of the stored record differs")
    if len(record) > RECORD_LIMIT:
        detail = f"record of {len(record)} bytes; allowed are {RECORD_LIMIT}"
        return _whole(record, Reason.TOO_LARGE, detail)
    lone = record.lstrip()[:1] == b"{"
    signals = _short_way(b"[" + record + b"]" if lone else record)
    if lone and signals is not None and len(signals) > 1:
        signals = None
    return Decoded(signals) if signals is not None else _long_way(record)


def _encode_one(signal: Signal) -> bytes:
    try:
        return _ENCODER.encode(signal)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"signal {signal.id!a} has no JSON form: {error}") from error


def _fitting(signals: Sequence[Signal]) -> Iterator[bytes]:
    record = encode(signals)
    if len(record) <= RECORD_LIMIT or len(signals) == 1:
        yield record
        return
    half = len(signals) // 2
    yield from _fitting(signals[:half])
    yield from _fitting(signals[half:])


def _short_way(record: bytes) -> list[Signal] | None:
    """Return the signals of a plain record, or None where a closer look is needed.

    What a check costs is weighed against the decoder: most records are as `encode` writes
    them, and writing them again is the cheapest proof that nothing was lost.
    """
    escapes = b"\\" in record
    if escapes and b"\\u0000" in record:
        return None
    try:
        signals = _DECODER.decode(record)
        ours = _ENCODER.encode(signals) == record
        if not ours and not _each_key_once(record, escapes=escapes):
            return None
    except (ValueError, RecursionError):
        return None
    plain = (
        len(signals) <= MAX_ELEMENTS
        and (len(record) <= ELEMENT_LIMIT or (ours and all(map(_fits, signals))))
        and all(map(_sound, {signal.time.year for signal in signals}))
        and not _long_digits(record)
        and (_shallow(signals) or not deeper_than(MAX_DEPTH + 1, record))
    )
    return signals if plain else None


def _each_key_once(record: bytes, *, escapes: bool) -> bool:
    """Whether the valid JSON text `record` surely holds no key twice, and data as we read it.

    Of two equal keys msgspec keeps the last, so writing the record again loses its quotes.
    Texts hold as many of these before as after, unless one is spelled by its number.
    """
    if (escapes and b"\\u00" in record) or b'"data_base64"' in record:
        return False
    return record.count(b'"') == _ENCODER.encode(_ANY.decode(record)).count(b'"')


def _fits(signal: Signal) -> bool:
    return len(_ENCODER.encode(signal)) <= ELEMENT_LIMIT


def _sound(year: int) -> bool:
    return MIN_YEAR <= year <= MAX_YEAR


def _shallow(signals: Sequence[Signal]) -> bool:
    """Whether data surely nests less than is allowed, found without reading the text again."""
    level = get_referents(*[signal.data for signal in signals])
    for _ in range(_SURELY_SHALLOW):
        if not level:
            return True
        level = get_referents(*level)
    return False


def _long_digits(record: bytes) -> bool:
    """Whether digits stand in a row that may be an integer beyond 64 bits."""
    return _LONG_INT in record.translate(_DIGITS)


def _long_way(record: bytes) -> Decoded:
    decoded = Decoded()
    for raw, fault in split_array(record):
        verdict: Any = fault or read_element(raw)
        if isinstance(verdict, Fault):
            decoded.bad.append(Bad(verdict.reason, verdict.detail, raw))
        else:
            decoded.signals.append(verdict)
    return decoded


def _whole(record: bytes, reason: Reason, detail: str) -> Decoded:
    return Decoded([], [Bad(reason, detail, bytes(record))])
