"""The encoders extension of CEL, and the quoting of strings."""

import base64
import binascii
import re
from typing import Final

from engine.rules.cel.errors import CONVERSION, EvaluationError
from engine.rules.cel.meter import Meter

_SPACE: Final = re.compile(r"[ \t\n\v\f\r]+")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_GROUP: Final = 4
_QUOTED: Final = str.maketrans({
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
})  # fmt: skip


def base64_of(meter: Meter, value: bytes) -> str:
    """Return bytes as base64, with padding."""
    meter.spend_text(2 * len(value))
    return base64.b64encode(value).decode()


def from_base64(meter: Meter, text: str) -> bytes:
    """Read base64; white space is skipped, and the padding may be left out."""
    meter.spend_text(4 * len(text))
    packed = _SPACE.sub("", text)
    if "=" not in packed:
        packed += "=" * (-len(packed) % _GROUP)
    try:
        if _BASE64.fullmatch(packed) is None:
            raise EvaluationError(CONVERSION, f"{text[:40]!r} is no base64")
        return base64.b64decode(packed, validate=True)
    except binascii.Error as error:
        raise EvaluationError(CONVERSION, f"{text[:40]!r} is no base64") from error


def quoted(meter: Meter, text: str) -> str:
    """Return `text` in double quotes, as it would be written in CEL."""
    meter.spend_text(16 * len(text))
    return f'"{text.translate(_QUOTED)}"'
