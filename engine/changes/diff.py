"""Diff: what a write changes, as unified text and as one sentence for each field."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import yaml

from engine.analysis.field import text
from engine.changes.merge import Json, same
from engine.changes.shown import hidden, in_line, label, shown

LINES_SHOWN: Final = 2000
SENTENCES_SHOWN: Final = 60
_SERVERS_OWN: Final = frozenset(
    {
        "managedFields",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    }
)
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_DIGESTS: Final = ("sha256:", "salted-sha256:")
_NAMED_BY: Final = ("name", "containerPort", "port", "mountPath", "type", "key", "ip")
"""What tells the items of a list apart, the first that fits."""
_PODS: Final = ("spec", "template", "spec")
_CONTAINERS: Final = frozenset({"containers", "initContainers"})
_SHORT: Final = frozenset({"replicas", "unschedulable", "paused", "suspend"})

Path: TypeAlias = tuple[str, ...]
Leaf: TypeAlias = tuple[Path, Any, Any]


def normalised(obj: Mapping[str, Any]) -> Json:
    """Return `obj` without what the server keeps for itself; values of a Secret as digests.

    Left out: status, managedFields, resourceVersion, generation, timestamps, and the copy of
    the object that kubectl keeps. Doing it twice changes nothing.
    """
    kept = {name: value for name, value in obj.items() if name not in {"status", "madeBy"}}
    if isinstance(kept.get("metadata"), Mapping):
        kept["metadata"] = _metadata(kept["metadata"])
    if obj.get("kind") == "Secret":
        salt = text(obj, "metadata", "uid")
        for name in ("data", "stringData"):
            if isinstance(kept.get(name), Mapping):
                kept[name] = {key: _digest(item, salt) for key, item in kept[name].items()}
    return kept


def _metadata(metadata: Mapping[str, Any]) -> Json:
    kept = {name: value for name, value in metadata.items() if name not in _SERVERS_OWN}
    notes = kept.get("annotations")
    if isinstance(notes, Mapping) and _LAST_APPLIED in notes:
        left = {key: value for key, value in notes.items() if key != _LAST_APPLIED}
        kept.pop("annotations")
        if left:
            kept["annotations"] = left
    return kept


def _digest(value: Any, salt: str) -> str:
    said = str(value)
    return said if said.startswith(_DIGESTS) else hidden(said, salt)


def unified(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, name: str) -> str:
    """Return the unified diff of two objects as YAML, empty where nothing differs.

    Args:
        before: as it is; None for one that is yet to be made.
        after: as it would be; None for one that goes away.
        name: what the object is called in the head of the diff.
    """
    lines = list(
        difflib.unified_diff(
            _yaml(before), _yaml(after), f"{name} (now)", f"{name} (then)", lineterm=""
        )
    )
    more = len(lines) - LINES_SHOWN
    told = [*lines[:LINES_SHOWN], f"... {more} more lines"] if more > 0 else lines
    return "".join(f"{line}\n" for line in told)


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as such, so that each of its lines is compared."""


def _literal(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _literal)


def _yaml(obj: Mapping[str, Any] | None) -> list[str]:
    if obj is None:
        return []
    plain = shown(normalised(obj), salt=text(obj, "metadata", "uid"))
    dumped = yaml.dump(plain, Dumper=_Dumper, allow_unicode=True, width=10_000)
    return str(dumped).splitlines()


def sentences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each field that differs: `replicas 1 -> 3`.

    Fields of containers are told as `image of app: a -> b`, rules of roles as `gains verb
    delete on pods`, all others by their path. What is hidden or cut short stands as a digest.
    """
    salt = text(before, "metadata", "uid") or text(after, "metadata", "uid")
    told: list[str] = []
    more = 0
    for path, old, new in _leaves((), normalised(before), normalised(after)):
        if len(told) < SENTENCES_SHOWN:
            told += _told(path, old, new, salt)
        else:
            more += 1
    return [*told, f"and {more} more fields"] if more else told


def _leaves(path: Path, old: Any, new: Any) -> Iterator[Leaf]:
    if same(old, new):
        return
    if _map(old) and _map(new) and (old or new):
        was, becomes = old or {}, new or {}
        for name in sorted(was.keys() | becomes.keys()):
            yield from _leaves((*path, name), was.get(name), becomes.get(name))
    elif path != ("rules",) and (word := _told_apart(old, new)):
        yield from _items(path, word, _by(word, old), _by(word, new))
    else:
        yield path, old, new


def _map(value: Any) -> bool:
    """Whether the fields of `value` are told one by one; what is absent has none."""
    return value is None or isinstance(value, Mapping)


def _told_apart(old: Any, new: Any) -> str:
    """Return by which field the items of two lists are told apart, empty for none."""
    lists = [value for value in (old, new) if value is not None]
    if not lists or not all(isinstance(one, list) and one for one in lists):
        return ""
    for word in _NAMED_BY:
        if all(_unique(one, word) for one in lists):
            return word
    return ""


def _unique(items: list[Any], word: str) -> bool:
    names = [item.get(word) if isinstance(item, Mapping) else None for item in items]
    plain = all(isinstance(name, str | int) for name in names)
    return plain and len({str(name) for name in names}) == len(names)


def _by(word: str, items: list[Any] | None) -> dict[str, Any]:
    return {str(item[word]): item for item in items or ()}


def _items(path: Path, word: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Leaf]:
    for name in [*old, *(name for name in new if name not in old)]:
        was, becomes = old.get(name), new.get(name)
        if was is None or becomes is None:
            was, becomes = _nameless(was, word), _nameless(becomes, word)
        yield from _leaves((*path, f"[{name}]"), was, becomes)
    kept = [name for name in old if name in new]
    if kept != [name for name in new if name in old]:
        yield (*path, "order"), ", ".join(old), ", ".join(new)


def _nameless(item: Any, word: str) -> Any:
    """An item that comes or goes is named by its path; nothing else is known of some."""
    return {k: v for k, v in item.items() if k != word} if item and len(item) > 1 else item


def _told(path: Path, old: Any, new: Any, salt: str) -> list[str]:
    if path == ("rules",):
        verbs = _verbs(old, new)
        if verbs:
            return verbs
    name = _field_of(path)
    change = f"{in_line(old, name, salt)} -> {in_line(new, name, salt)}"
    return [f"{_subject(path)} {change}"]


def _field_of(path: Path) -> str:
    """The name by which a value is judged: of a variable, its own."""
    if len(path) > 1 and path[-1] == "value" and path[-2].startswith("["):
        return path[-2].strip("[]")
    return path[-1] if path else ""


def _subject(path: Path) -> str:
    """Say which field a path leads to, as people call it."""
    if path[:-1] == ("spec",) and path[-1] in _SHORT:
        return path[-1]
    inner = path[len(_PODS) :] if path[: len(_PODS)] == _PODS else path
    if inner[2:] and inner[0] in _CONTAINERS:
        field = ".".join(label(part) for part in inner[2:]).replace(".[", "[")
        return f"{_variable(field)} of {label(inner[1][1:-1])}:"
    if len(path) > 1 and path[-2] in {"annotations", "labels"}:
        where = "pod template " if path[:2] == ("spec", "template") else ""
        return f"{where}{path[-2][:-1]} {label(path[-1])}"
    return ".".join(label(part) for part in path).replace(".[", "[")


def _variable(field: str) -> str:
    """`env[LOG_LEVEL].value` is told as `env LOG_LEVEL`."""
    if field.startswith("env[") and field.endswith("].value"):
        return f"env {field.removeprefix('env[').removesuffix('].value')}"
    return field


def _verbs(old: Any, new: Any) -> list[str]:
    """Return which verbs the rules of a role gain and lose, on what."""
    was, becomes = _granted(old), _granted(new)
    gained = [f"gains verb {_grant(one)}" for one in sorted(becomes - was)]
    lost = [f"loses verb {_grant(one)}" for one in sorted(was - becomes)]
    return gained + lost


def _grant(one: tuple[str, str]) -> str:
    return f"{label(one[0])} on {label(one[1])}"


def _granted(rules: Any) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for rule in rules if isinstance(rules, list) else ():
        if not isinstance(rule, Mapping):
            continue
        things = [*_places(rule), *_strings(rule, "nonResourceURLs")]
        found |= {(verb, thing) for verb in _strings(rule, "verbs") for thing in things}
    return found


def _places(rule: Mapping[str, Any]) -> Iterator[str]:
    for group in _strings(rule, "apiGroups") or [""]:
        for resource in _strings(rule, "resources"):
            whole = f"{resource}.{group}" if group else resource
            names = _strings(rule, "resourceNames")
            yield from (f"{whole}/{name}" for name in names) if names else (whole,)


def _strings(rule: Mapping[str, Any], name: str) -> Sequence[str]:
    found = rule.get(name)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
