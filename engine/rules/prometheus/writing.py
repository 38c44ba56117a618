"""Rules as YAML that a person would have written: plain values, expressions on one line."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_PLAIN: Final = re.compile(r"[A-Za-z_/<][\w ./=,;()\[\]'\"&|!<>*+?{}-]*\Z")
_DURATION: Final = re.compile(r"(\d+(ms|s|m|h|d))+\Z")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_KEY: Final = re.compile(r"[A-Za-z_][\w./-]*\Z")
_FLOW_CHARS: Final = 80


def yaml_of(value: Mapping[str, Any] | list[Any], indent: int = 0) -> str:
    """Return `value` (mappings, lists, texts, numbers) as YAML, indented by `indent` spaces."""
    return "".join(f"{' ' * indent}{line}\n" for line in _lines(value))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            if not one or not isinstance(one, Mapping | list) or _short(one):
                yield f"{_key(name)}: {_flow(one)}"
            else:
                yield f"{_key(name)}:"
                yield from (f"  {line}" for line in _lines(one))
        return
    for one in value:
        first, *rest = [_flow(one)] if _short(one) else _lines(one)
        yield f"- {first}"
        yield from (f"  {line}" for line in rest)


def _short(value: Any) -> bool:
    """Whether `value` reads well on one line."""
    inner = value.values() if isinstance(value, Mapping) else value
    nested = isinstance(value, Mapping | list) and any(
        isinstance(one, Mapping | list) and not _leaf(one) for one in inner
    )
    return not nested and len(_flow(value)) <= _FLOW_CHARS


def _leaf(value: Any) -> bool:
    return isinstance(value, list | Mapping) and not any(
        isinstance(one, Mapping | list)
        for one in (value.values() if isinstance(value, Mapping) else value)
    )


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(name)}: {_flowed(one)}" for name, one in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(_flowed(one) for one in value)}]"
    return _scalar(value)


def _flowed(value: Any) -> str:
    """Return `value` inside brackets, where more marks need quotes."""
    text = _flow(value)
    if isinstance(value, str) and text == value and re.search(r"[\[\]{},]", text):
        return _quoted(value)
    return text


def _key(name: str) -> str:
    return name if _KEY.match(name) and name not in {"true", "false", "null"} else _quoted(name)


def _scalar(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    risky = value.lower() in _WORDS or value != value.strip() or ": " in value or " #" in value
    plain = _DURATION.match(value) or (_PLAIN.match(value) and not risky)
    return value if plain else _quoted(value)


def _quoted(value: str) -> str:
    """Return `value` in the quotes that need the fewest escapes."""
    if '"' in value and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return json.dumps(value, ensure_ascii=False)
