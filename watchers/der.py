"""DER: as much of it as tells what reading a key store would cost. Pure."""

from collections.abc import Iterator
from typing import Final

_INTEGER: Final = 0x02
_OCTETS: Final = 0x04
_CONSTRUCTED: Final = 0x20
_LONG_TAG: Final = 0x1F
_LONG_LENGTH: Final = 0x80
_DEPTH: Final = 32
_VALUES: Final = 10_000


class NotDer(ValueError):  # noqa: N818 - what it is
    """The bytes are no DER, or too deep or too many values to be worth a look."""


def iterations(raw: bytes) -> int:
    """Return how many rounds of key derivation the DER structure `raw` asks for in all.

    Wherever PKCS#12 and PKCS#5 ask for rounds, an OCTET STRING (the salt) is followed by an
    INTEGER (the rounds, or the cost of scrypt); each such integer counts, also those in octet
    strings that hold DER again. What is encrypted is not seen.

    Raises:
        NotDer: `raw` is no DER.
    """
    return _Walk().sum(raw, 0)


class _Walk:
    """Goes through one structure, and counts what it has seen."""

    def __init__(self) -> None:
        self._left = _VALUES

    def sum(self, raw: bytes, depth: int) -> int:
        if depth > _DEPTH:
            raise NotDer(f"more than {_DEPTH} levels")
        total, salted = 0, False
        for tag, value in _values(raw):
            self._left -= 1
            if self._left < 0:
                raise NotDer(f"more than {_VALUES} values")
            if tag & _CONSTRUCTED:
                total += self.sum(value, depth + 1)
            elif tag == _INTEGER and salted:
                total += max(0, int.from_bytes(value, "big", signed=True))
            elif tag == _OCTETS:
                total += self._within(value, depth + 1)
            salted = tag == _OCTETS
        return total

    def _within(self, value: bytes, depth: int) -> int:
        """Return the rounds asked for in an octet string, none where it holds something else."""
        if value[:1] != b"\x30":
            return 0
        try:
            return self.sum(value, depth)
        except NotDer:
            if self._left < 0:
                raise
            return 0


def _values(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, content) of the values that stand one after the other."""
    at = 0
    while at < len(raw):
        tag = raw[at]
        if tag & _LONG_TAG == _LONG_TAG:
            raise NotDer("a tag of more than one byte")
        start, end = _extent(raw, at + 1)
        yield tag, raw[start:end]
        at = end


def _extent(raw: bytes, at: int) -> tuple[int, int]:
    """Return where the content begins and ends whose length stands at `at`."""
    if at >= len(raw):
        raise NotDer("it ends within a value")
    length, start = raw[at], at + 1
    if length >= _LONG_LENGTH:
        start += length - _LONG_LENGTH
        length = int.from_bytes(raw[at + 1 : start], "big")
        if start == at + 1:
            raise NotDer("a value of indefinite length")
    end = start + length
    if end > len(raw):
        raise NotDer("it ends within a value")
    return start, end
