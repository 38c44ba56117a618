"""What no single field of a policy shows: reads what was written, whatever else is wrong."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from engine.changes.policy.config import PEOPLE, PROTECTED
from engine.changes.policy.policy import Place, matches
from engine.model.change import Risk
from engine.model.instant import parse_duration
from engine.rules.modelled import Where
from engine.rules.wording import choices, quoted, unknown

Faults = Iterator[tuple[Where, str]]
RESERVED: Final = frozenset({"dogwatch", "engine", "model", "advisor", "writer", "policy", "rule"})
"""Names that no person has: they stand in the audit for what is none."""
EMPTY: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""The sha256 of nothing: what an unset variable gives."""
_WAYS: Final = ("email", "slack", "token_sha256", "subject")
_WILD: Final = frozenset("*?[")
_ALL: Final = ["*"]


@dataclass(frozen=True)
class Known:
    """Names that the policy may use; None where they are not known."""

    clusters: Mapping[str, Place] | None = None
    templates: Collection[str] | None = None


def cross_faults(settings: Mapping[str, Any], known: Known) -> Faults:
    """Yield (place, what is wrong) of what the settings say together."""
    checks: tuple[Callable[[Mapping[str, Any]], Faults], ...] = (
        _users,
        _doubles,
        _groups,
        _approvers,
        _shadowed,
        _automatic,
        _calendar,
        _protected,
        _breaker,
        _use,
    )
    yield from chain.from_iterable(check(settings) for check in checks)
    if known.clusters is not None:
        for where, scope in _scopes(settings):
            yield from _clusters(where, scope, known.clusters)
    if known.templates is not None:
        yield from _templates(settings, known.templates)


def _users(settings: Mapping[str, Any]) -> Faults:
    for name, user in _mapping(settings.get("users")).items():
        at = ("users", name)
        if name in RESERVED:
            yield at, f"{name} is what dogwatch calls something that is no person; take another"
        if isinstance(user, dict) and not any(user.get(way) for way in _WAYS):
            yield at, f"{name} has no way to decide; give one of {', '.join(_WAYS)}"
        if _mapping(user).get("subject") and not settings.get("oidc"):
            yield (*at, "subject"), "a subject is of tokens of an issuer; give oidc too"
        if _mapping(user).get("token_sha256") == EMPTY:
            yield (*at, "token_sha256"), "that is the hash of an empty token"


def _doubles(settings: Mapping[str, Any]) -> Faults:
    first: dict[tuple[str, str], str] = {}
    for name, user in _mapping(settings.get("users")).items():
        for way in _WAYS:
            shown = _way(_mapping(user).get(way))
            if not shown:
                continue
            other = first.setdefault((way, shown), name)
            if other != name:
                yield ("users", name, way), f"{name} has the same {way} as {other}"


def _way(value: Any) -> str:
    """Return a way to be recognised as one text, whatever its case; empty for none."""
    if isinstance(value, dict):
        return " ".join(str(value.get(part)) for part in ("team", "user"))
    return value.casefold() if isinstance(value, str) else ""


def _groups(settings: Mapping[str, Any]) -> Faults:
    users = _mapping(settings.get("users"))
    for group, members in _mapping(settings.get("groups")).items():
        yield from _unknown(("groups", group), members, "user", users)


def _approvers(settings: Mapping[str, Any]) -> Faults:
    groups = _mapping(settings.get("groups"))
    for at, entry in _items(settings.get("approvers")):
        where = ("approvers", at)
        yield from _unknown((*where, "groups"), entry.get("groups"), "group", groups)
        risks, people = _risks(entry), entry.get("people")
        least = max((PEOPLE[risk] for risk in risks), default=1)
        asked = people if isinstance(people, int) else least
        if 0 < asked < least:
            strict = next(risk for risk in risks if PEOPLE[risk] > asked)
            said = f"people is {asked}, but what is {strict} needs {_persons(PEOPLE[strict])}"
            yield (*where, "people"), said
        wanted = max(least, asked)
        named = _texts(entry.get("groups"))
        able = {user for group in named for user in _texts(groups.get(group))}
        if named and all(group in groups for group in named) and len(able) < wanted:
            said = f"nobody can satisfy it: it needs {_persons(wanted)}"
            yield where, f"{said}, and there are {len(able)} in {' and '.join(named)}"


def _shadowed(settings: Mapping[str, Any]) -> Faults:
    """Tell of an entry after one that covers all of it, and so is never looked at."""
    seen: list[tuple[int, set[Risk]]] = []
    for at, entry in _items(settings.get("approvers")):
        risks = set(_risks(entry))
        by = next((number for number, before in seen if risks and risks <= before), None)
        if by is not None:
            said = f"it is never reached: approvers entry {by + 1} covers every place"
            yield ("approvers", at), said
        everywhere = _names(entry.get("clusters")) == _ALL
        if everywhere and (_texts(entry.get("namespaces")) or _ALL) == _ALL:
            seen.append((at, risks))


def _automatic(settings: Mapping[str, Any]) -> Faults:
    known = _mapping(settings.get("intervals"))
    for name, entry in _mapping(settings.get("automatic")).items():
        at, risk = ("automatic", name), _mapping(entry).get("risk")
        if risk in [Risk.DESTRUCTIVE, Risk.LOCKOUT]:
            said = f"what is {risk} is never approved without people"
            yield (*at, "risk"), f"{said}; at most {Risk.DISRUPTIVE}"
        within = _mapping(entry).get("within")
        yield from _unknown((*at, "within"), within, "interval", known)


def _calendar(settings: Mapping[str, Any]) -> Faults:
    known = _mapping(settings.get("intervals"))
    for kind in ("windows", "freezes"):
        for at, entry in _items(settings.get(kind)):
            where = (kind, at, "during")
            yield from _unknown(where, entry.get("during"), "interval", known)


def _protected(settings: Mapping[str, Any]) -> Faults:
    opened = _texts(_mapping(settings.get("protected")).get("opened"))
    for at, name in enumerate(opened):
        if name not in PROTECTED:
            where = ("protected", "opened", at)
            yield where, unknown("protected namespace", name, PROTECTED)


def _breaker(settings: Mapping[str, Any]) -> Faults:
    breaker = _mapping(settings.get("breaker"))
    first, most = _length(breaker.get("open")), _length(breaker.get("open_most", "24h"))
    if 0 < most < first:
        yield ("breaker", "open_most"), "open_most is shorter than open"


def _length(value: Any) -> int:
    """Return the microseconds of a duration, 0 for what is none."""
    try:
        return parse_duration(value)
    except (TypeError, ValueError):
        return 0


def _use(settings: Mapping[str, Any]) -> Faults:
    """An emptied file is a slip: it is refused, and the policy before it stays."""
    if not settings.get("approvers") and not settings.get("automatic"):
        yield (), "it lets nobody approve anything; give approvers or automatic"


def _scopes(settings: Mapping[str, Any]) -> Iterator[tuple[Where, Mapping[str, Any]]]:
    for kind in ("approvers", "windows", "freezes"):
        for at, entry in _items(settings.get(kind)):
            yield (kind, at), entry
    for name, entry in _mapping(settings.get("automatic")).items():
        yield ("automatic", name), _mapping(entry)


def _clusters(where: Where, entry: Mapping[str, Any], known: Mapping[str, Place]) -> Faults:
    """Tell of names and groups of clusters that there are not: such an entry would never hold."""
    clusters = entry.get("clusters")
    at = (*where, "clusters")
    if not isinstance(clusters, dict):
        yield from _unknown(at, clusters, "cluster", known, globs=True)
        return
    for field in ("names", "exclude"):
        yield from _unknown((*at, field), clusters.get(field), "cluster", known, globs=True)
    groups = {group: place for place in known.values() for group in place.groups}
    wanted = clusters.get("groups")
    yield from _unknown((*at, "groups"), wanted, "group of clusters", groups, globs=True)


def _templates(settings: Mapping[str, Any], templates: Collection[str]) -> Faults:
    known = dict.fromkeys(templates)
    for name, entry in _mapping(settings.get("automatic")).items():
        where = ("automatic", name, "templates")
        yield from _unknown(where, _mapping(entry).get("templates"), "template", known, globs=True)
    for block in ("budgets", "verification"):
        for name in _mapping(_mapping(settings.get(block)).get("templates")):
            if name not in known:
                yield (block, "templates", name), unknown("template", name, known)


def _unknown(
    where: Where, names: Any, noun: str, known: Mapping[str, Any], *, globs: bool = False
) -> Faults:
    """Tell of each of `names` that is not known; with `globs` of each that fits none of them."""
    for at, name in enumerate(_texts(names)):
        if globs and _WILD & set(name):
            if [name] != _ALL and not any(matches(one, [name]) for one in known):
                yield (*where, at), f"{quoted(name)} fits no {noun}; known: {choices(known)}"
        elif name not in known:
            yield (*where, at), unknown(noun, name, known)


def _risks(entry: Mapping[str, Any]) -> list[Risk]:
    """Return the risks that an entry names, all where it names none; unknown ones are left out."""
    named = _texts(entry.get("risks")) or list(Risk)
    return [risk for risk in Risk if risk in named]


def _names(clusters: Any) -> list[str]:
    """Return the names in a choice of clusters that chooses by nothing else, `*` for none."""
    if not isinstance(clusters, dict):
        return _texts(clusters) or _ALL
    return _texts(clusters.get("names")) or _ALL if not clusters.keys() - {"names"} else []


def _persons(count: int) -> str:
    return "1 person" if count == 1 else f"{count} distinct persons"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for at, one in enumerate(value if isinstance(value, list) else ()):
        if isinstance(one, dict):
            yield at, one


def _texts(value: Any) -> list[str]:
    listed = [value] if isinstance(value, str) else value
    return [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
