"""Label selectors in Kubernetes' syntax: `app=web,tier in (a, b),!canary`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)?"
_EQUALITY = re.compile(rf"\s*({_KEY})\s*(==|=|!=)\s*({_VALUE})\s*\Z")
_MEMBERSHIP = re.compile(rf"\s*({_KEY})\s+(in|notin)\s*\(([^()]*)\)\s*\Z")
_PRESENCE = re.compile(rf"\s*(!?)\s*({_KEY})\s*\Z")
_WHOLE_VALUE = re.compile(rf"{_VALUE}\Z")
_OPERATORS: Final = {"=": True, "==": True, "!=": False, "in": True, "notin": False}


@dataclass(frozen=True)
class Requirement:
    """`key` must (or with `wanted` false must not) have one of `values`; None: any value."""

    key: str
    values: frozenset[str] | None
    wanted: bool


def parse_labels(text: str) -> tuple[Requirement, ...]:
    """Return the requirements of the selector `text`, all of which must hold.

    Raises:
        ValueError: `text` is no label selector.
    """
    return tuple(_requirement(part) for part in _parts(text))


def _parts(text: str) -> list[str]:
    """Split `text` at the commas that are not inside parentheses."""
    parts, inside = [""], False
    for char in text:
        if char == "," and not inside:
            parts.append("")
            continue
        inside = char == "(" or (inside and char != ")")
        parts[-1] += char
    return parts


def labels_match(requirements: tuple[Requirement, ...], labels: Mapping[str, str]) -> bool:
    """Tell whether `labels` meet every requirement.

    As in Kubernetes `!=` and `notin` hold for an object without the label.
    """
    return all(_met(requirement, labels) for requirement in requirements)


def _met(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    has = requirement.key in labels and (
        requirement.values is None or labels[requirement.key] in requirement.values
    )
    return has is requirement.wanted


def _requirement(part: str) -> Requirement:
    if match := _EQUALITY.match(part):
        key, operator, value = match.groups()
        return Requirement(key, frozenset({value}), _OPERATORS[operator])
    if match := _MEMBERSHIP.match(part):
        key, operator, listed = match.groups()
        values = [value.strip() for value in listed.split(",")]
        if all(_WHOLE_VALUE.match(value) for value in values):
            return Requirement(key, frozenset(values), _OPERATORS[operator])
    elif match := _PRESENCE.match(part):
        return Requirement(match[2], None, not match[1])
    raise ValueError(
        f"'{part.strip()[:48]}' is no label requirement; "
        "write for example app=web, tier in (a, b), env!=dev, team or !canary"
    )
