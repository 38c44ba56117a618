"""PEM and DER: the certificates in a file, whatever else is in it. Pure."""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_CERTIFICATES: Final = 1000
"""How many certificates of one place are looked at."""
_BEGIN: Final = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----")
_END: Final = b"-----END "
_SEQUENCE: Final = 0x30


@dataclass(frozen=True, slots=True)
class Blocks:
    """What a file holds.

    Attributes:
        found: DER of each block that can be decoded, in order; that it is a certificate is not
            known yet.
        broken: how many blocks can not be decoded.
        skipped: how many were not looked at, as there are more than MAX_CERTIFICATES.
    """

    found: tuple[bytes, ...] = ()
    broken: int = 0
    skipped: int = 0


def blocks(raw: bytes) -> Blocks:
    """Return the certificates of a PEM file, or the one of a DER file; no key is looked at."""
    if raw[:1] == bytes([_SEQUENCE]):
        return Blocks((raw,))
    found: list[bytes] = []
    broken = skipped = 0
    for body in _bodies(raw):
        if len(found) + broken == MAX_CERTIFICATES:
            skipped += 1
            continue
        der = _decoded(body)
        if der is None:
            broken += 1
        else:
            found.append(der)
    return Blocks(tuple(found), broken, skipped)


def _bodies(raw: bytes) -> Iterator[bytes | None]:
    """Yield what stands between the marks; None for a block without an end."""
    begin = _BEGIN.search(raw)
    while begin is not None:
        following = _BEGIN.search(raw, begin.end())
        limit = following.start() if following else len(raw)
        end = raw.find(_END, begin.end(), limit)
        yield None if end < 0 else raw[begin.end() : end]
        begin = following


def _decoded(body: bytes | None) -> bytes | None:
    if body is None:
        return None
    try:
        return binascii.a2b_base64(body) or None
    except binascii.Error:
        return None
