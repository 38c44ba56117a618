"""Shown: text of a cluster as an approver sees it: visible, without secrets, capped.

What is hidden or cut short is followed by a digest: values that differ never look the same.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from engine.analysis.text import REDACTED, redact
from engine.model.ids import canonical, digest

LONGEST: Final = 2000
_IN_LINE: Final = 160
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_REFERS: Final = re.compile(r"(?i)(?:name|ref|path|file|type|policy|class)s?$")
"""Fields that name a secret and hold none: `secretName`, `passwordFile`."""
_PLAIN: Final = re.compile(r"[ -~]*")
_OTHERWISE: Final = re.compile(
    r"""|unset|true|false|-?\d[\d.]*(?:[eE][-+]?\d+)?|[\[{"].*|.* | .*""", re.DOTALL
)
"""Texts that could be read as something else: as no text at all, or not to its end."""


def shown(value: Any, name: str = "", salt: str = "") -> Any:
    """Return JSON fit to be shown, of the same shape.

    Args:
        value: any JSON.
        name: of the field that holds it; one that names a credential hides the value.
        salt: makes digests of one object useless for another.
    """
    if isinstance(value, Mapping):
        variable = _variable(value)
        return {
            _visible(key): shown(item, variable if key == "value" and variable else key, salt)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [shown(item, name, salt) for item in value]
    return _text(value, name, salt, LONGEST) if isinstance(value, str) else value


def in_line(value: Any, name: str = "", salt: str = "") -> str:
    """Return `value` in one short line: `unset`, `true`, `3`, text, or small JSON."""
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        plain = canonical(shown(value, name, salt)).decode(errors="replace")
        return _cut(_visible(plain), _IN_LINE, canonical(value).decode(errors="replace"), salt)
    if _OTHERWISE.fullmatch(value):
        value = f'"{value}"'
    told = _text(value, name, salt, _IN_LINE).replace("\n", "\\n").replace("\t", "\\t")
    return f"{told} ({hidden(value, salt)})" if "\\" in value else told


def label(value: str) -> str:
    """Return a name of the cluster (a key, a container) in one short line."""
    return _cut(_visible(value), _IN_LINE, value, "").replace("\n", "\\n").replace("\t", "\\t")


def hidden(value: str, salt: str = "") -> str:
    """Return what stands for a secret: its digest."""
    return f"sha256:{digest([salt, value])[:12]}"


def _variable(entry: Mapping[str, Any]) -> str:
    """The name of an environment variable, or of anything of that form."""
    name = entry.get("name")
    return name if isinstance(name, str) and isinstance(entry.get("value"), str) else ""


def _text(value: str, name: str, salt: str, longest: int) -> str:
    if _secret(name, value):
        return hidden(value, salt)
    told = "\n".join(redact(line) for line in value.split("\n"))
    if told != value or "\\u" in value:
        told = f"{told} ({hidden(value, salt)})"
    return _cut(_visible(told), longest, value, salt)


def _secret(name: str, value: str) -> bool:
    if not name or not value or _REFERS.search(name):
        return False
    word = value.split(maxsplit=1)[0] if value.split() else ""
    return redact(f"{name}={word}").endswith(f"={REDACTED}") and REDACTED not in redact(word)


def _cut(told: str, longest: int, value: str, salt: str) -> str:
    if len(told) <= longest:
        return told
    return f"{told[:longest]}… ({len(value)} characters, {hidden(value, salt)})"


def _visible(text: str) -> str:
    """Write control, zero-width and bidi characters, and strange spaces, as escapes."""
    return text if _PLAIN.fullmatch(text) else "".join(map(_seen, text))


def _seen(char: str) -> str:
    if char in " \n\t":
        return char
    if unicodedata.category(char) in _HIDDEN or char.isspace():
        return f"\\u{ord(char):04x}"
    return char
