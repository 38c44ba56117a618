"""The core `schedule`: cron fields, checked by the library that computes the instants."""

from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from engine.model.instant import format_duration, parse_duration
from engine.rules.draft import Draft, entries
from engine.rules.rule import Schedule
from engine.rules.shaping import Notes
from engine.rules.wording import choices, guess, quoted
from engine.rules.yaml import Node

SHORTHANDS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_FIELDS: Final = (
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of month", "1 to 31, L for the last"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of week", "0 to 7 or SUN to SAT, 5L for the last Friday, 1#2 for the second Monday"),
)
_LENGTH: Final = 200
_LOOKED_AT: Final = 32
_START: Final = datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))
"""Instants from here on stand for all: cron fields know no years."""


def schedule(rule: Draft) -> Schedule | None:
    """Return the schedule of the rule, with cron in five fields; what is wrong is told."""
    node = rule.fields.get("schedule")
    if node is None:
        return None
    fields, notes = entries(node), rule.notes
    cron = _cron(fields["cron"], notes) if "cron" in fields else ""
    zone = str(fields["timezone"].value) if "timezone" in fields else "UTC"
    if "timezone" in fields:
        check_timezone(fields["timezone"], notes)
    jitter = parse_duration(str(fields["jitter"].value)) if "jitter" in fields else 0
    period = _period(cron) if cron and jitter else None
    if period is not None and jitter >= period:
        shown = format_duration(period)
        message = f"the jitter is as long as the time between two instants, {shown}; make it less"
        notes.error(fields["jitter"], message, "jitter")
    catch_up = str(fields["catch_up"].value) if "catch_up" in fields else "none"
    return Schedule(cron, zone, jitter, catch_up)


def check_timezone(node: Node, notes: Notes) -> None:
    """Check that `node` names a time zone of the IANA database."""
    name = str(node.value)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = available_timezones()
        city = [zone for zone in sorted(known) if zone.lower().endswith("/" + name.lower())]
        near = f"; did you mean '{city[0]}'?" if city else guess(name, known)
        message = f"unknown time zone {quoted(name)}; write for example Europe/Berlin{near}"
        notes.error(node, message, "timezone")


def _cron(node: Node, notes: Notes) -> str:
    """Return the five fields, empty where they are not sound."""
    text = str(node.value)
    if text.startswith("@"):
        if text not in SHORTHANDS:
            message = f"unknown schedule {quoted(text)}; known: {choices(SHORTHANDS)}"
            notes.error(node, message + guess(text, SHORTHANDS), "cron")
        return SHORTHANDS.get(text, "")
    fields = text.split()
    if len(fields) != len(_FIELDS) or len(text) > _LENGTH:
        names = ", ".join(name for name, _ in _FIELDS)
        message = f"cron has {len(fields)} fields; it needs five: {names}"
        notes.error(node, message, "cron")
        return ""
    for place, (name, allowed) in enumerate(_FIELDS):
        if not _is_sound(fields[place], place):
            message = f"cron: {quoted(fields[place])} is no {name}; {allowed}"
            notes.error(node, message, "cron", offset=_offset(text, place))
            return ""
    if not _fires(" ".join(fields)):
        notes.error(node, f"cron {quoted(text)} never fires: there is no such day", "cron-never")
        return ""
    return " ".join(fields)


@lru_cache(maxsize=1024)
def _is_sound(field: str, place: int) -> bool:
    alone = ["*"] * len(_FIELDS)
    alone[place] = field
    try:
        CronSim(" ".join(alone), _START)
    except (CronSimError, ValueError, AssertionError, IndexError):
        return False
    return True


def _offset(text: str, place: int) -> int:
    """Return where the field number `place` of `text` starts."""
    at = 0
    for field in text.split()[:place]:
        at = text.index(field, at) + len(field)
    return at + len(text[at:]) - len(text[at:].lstrip())


@lru_cache(maxsize=256)
def _fires(cron: str) -> bool:
    return bool(_instants(cron, 1))


def _instants(cron: str, count: int) -> list[datetime]:
    try:
        return list(islice(CronSim(cron, _START), count))
    except CronSimError:
        return []


@lru_cache(maxsize=256)
def _period(cron: str) -> int | None:
    """Return the shortest time between two instants in microseconds, None for less than two."""
    gaps = [b - a for a, b in pairwise(_instants(cron, _LOOKED_AT))]
    return min(gaps) // timedelta(microseconds=1) if gaps else None
