"""Index: a signal meets only the rules that it can match.

Two steps by equality: type and kind (or metric), then a few more values that a rule needs to be
one of a set (reason, namespace, cluster, and one comparison with a literal that `when` needs to
be true; see Program.guards). What is left, globs and label selectors, is asked one by one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from itertools import product
from typing import Any, Final, NamedTuple

from engine.model.signal import ENVELOPE, Signal
from engine.rules.labels import Requirement, labels_match, parse_labels
from engine.rules.rule import Rule, Selector
from engine.stream.reader import Reader

_FIRST: Final[Mapping[str, str]] = {"metric": "metric"}
_LISTS: Final = {
    "kinds": "kind",
    "reasons": "reason",
    "metrics": "metric",
    "namespaces": "namespace",
    "clusters": "cluster",
}
_GLOB: Final = frozenset("*?[")
_MOST_VALUES: Final = 64
_MISSING: Final = object()
_PLAIN: Final = frozenset({str, int, bool, float})

Path = tuple[str, ...]


class Entry(NamedTuple):
    """One selector of one rule: what must be equal, and what is asked after that."""

    reader: Reader
    equal: Mapping[Path, frozenset[Any]]
    guard: Path | None
    lists: tuple[tuple[str, tuple[str, ...]], ...]
    excluded: tuple[tuple[str, tuple[str, ...]], ...]
    labels: tuple[Requirement, ...]

    def takes(self, signal: Signal) -> bool:
        """Whether what equality could not decide lets the signal through."""
        for name, globs in self.lists:
            if not _matches(_text(signal, name), globs):
                return False
        for name, globs in self.excluded:
            if _matches(_text(signal, name), globs):
                return False
        return not self.labels or labels_match(self.labels, _labels(signal))


class Shape:
    """Entries that need the same paths to be equal to something: one look-up for all of them.

    `lacking` counts, for entries with a guard, signals that lack the field it looks at.
    """

    __slots__ = ("_by_selector", "_guard", "_names", "_paths", "_table", "lacking")

    def __init__(self, paths: tuple[Path, ...], guard: Path | None) -> None:
        self._paths = (*paths, guard) if guard else paths
        self._guard = guard
        flat = all(len(path) == 1 and path != ("cluster",) for path in self._paths)
        self._names = [path[0] for path in self._paths] if flat else None
        self._table: dict[tuple[Any, ...], list[Entry]] = {}
        self._by_selector: dict[tuple[Any, ...], list[Entry]] = {}
        self.lacking: Counter[tuple[Any, ...]] = Counter()

    def add(self, entry: Entry) -> None:
        """Take in an entry with exactly these paths."""
        for values in product(*(sorted(entry.equal[path], key=repr) for path in self._paths)):
            self._table.setdefault(values, []).append(entry)
            if self._guard:
                selected = self._by_selector.setdefault(values[:-1], [])
                if not selected or selected[-1] is not entry:
                    selected.append(entry)

    def find(self, signal: Signal) -> Iterable[Entry]:
        """Return the entries whose paths have the values that `signal` has."""
        if self._names is None:
            values = tuple([_value(signal, path) for path in self._paths])
        else:
            get = signal.data.get
            values = tuple([get(name, _MISSING) for name in self._names])
        try:
            found = self._table.get(values)
        except TypeError:  # a list or an object is equal to no literal
            return ()
        if found is None:
            if self._guard and values[-1] is _MISSING and values[:-1] in self._by_selector:
                self.lacking[values[:-1]] += 1
            return ()
        return found

    def missed(self, counters: Counter[str]) -> None:
        """Add to `counters` the missing fields of rules that were not even asked."""
        for selected, count in self.lacking.items():
            for entry in self._by_selector[selected]:
                when = entry.reader.rule.when
                if when is not None and "has(" not in when.source:
                    counters[f'missing_field{{rule="{entry.reader.rule.name}"}}'] += count


class Index:
    """All enabled rules by what they can match."""

    def __init__(self, readers: Iterable[Reader]) -> None:
        self._shapes: dict[tuple[str, Any], dict[tuple[tuple[Path, ...], Path | None], Shape]] = {}
        for reader in readers:
            for selector in reader.selectors:
                self._add(_entry(reader, selector), selector.type)
        self._merged = {place: self._merge(place) for place in self._shapes}

    def find(self, signal: Signal) -> list[Reader]:
        """Return the readers of the rules whose `on` takes `signal`, each once."""
        kind = signal.type
        first = signal.data.get(_FIRST.get(kind, "kind"))
        place = (kind, first if isinstance(first, str) else None)
        shapes = self._merged.get(place)
        if shapes is None:
            shapes = self._merged.get((kind, None), ())
        found: list[Reader] = []
        for shape in shapes:
            for entry in shape.find(signal):
                if entry.takes(signal) and entry.reader not in found:
                    found.append(entry.reader)
        return found

    def missed(self, counters: Counter[str]) -> None:
        """Add to `counters` the missing fields that the index saw for the rules."""
        for shapes in self._shapes.values():
            for shape in shapes.values():
                shape.missed(counters)

    def _add(self, entry: Entry, kind: str) -> None:
        first = (_FIRST.get(kind, "kind"),)
        equal = dict(entry.equal)
        names = equal.pop(first, frozenset({None}))
        entry = entry._replace(equal=equal)
        guard = entry.guard if entry.guard in equal else None
        paths = tuple(sorted(path for path in equal if path != guard))
        for name in names:
            shapes = self._shapes.setdefault((kind, name), {})
            shapes.setdefault((paths, guard), Shape(paths, guard)).add(entry)

    def _merge(self, place: tuple[str, Any]) -> tuple[Shape, ...]:
        """Return the shapes of a type and kind, those for any kind included."""
        any_kind = self._shapes.get((place[0], None), {}) if place[1] is not None else {}
        return (*self._shapes[place].values(), *any_kind.values())


def _entry(reader: Reader, selector: Selector) -> Entry:
    equal: dict[Path, frozenset[Any]] = {}
    lists = []
    for name, field in _LISTS.items():
        listed = getattr(selector, name)
        if listed and not any(_GLOB & set(one) for one in listed) and len(listed) <= _MOST_VALUES:
            equal[field,] = frozenset(listed)
        elif listed:
            lists.append((field, listed))
    excluded = tuple((_LISTS[name], globs) for name, globs in selector.exclude.items() if globs)
    labels = parse_labels(selector.labels) if selector.labels else ()
    guard = _guard(reader.rule, equal)
    size = 1
    for path in sorted(equal):
        size *= len(equal[path])
        if size > _MOST_VALUES:
            values = equal.pop(path)
            size //= len(values)
            lists.append((path[0], tuple(sorted(values))))
    return Entry(reader, equal, guard, tuple(lists), excluded, labels)


def _guard(rule: Rule, equal: dict[Path, frozenset[Any]]) -> Path | None:
    """Add the comparison of `when` that tells most apart to `equal`; return its path.

    A level with `clear`, and what is remembered or heard whatever it says, must be asked even
    where `when` is false, so it has none.
    """
    best: tuple[int, Path, frozenset[Any]] | None = None
    asked = (rule.clear is not None and not rule.over_us) or rule.reevaluate_us
    asked = asked or rule.on_nodata != "keep"
    for guard in rule.when.guards if rule.when is not None and not asked else ():
        path = _in_signal(guard.path)
        plain = all(type(value) in _PLAIN for value in guard.values)
        if path is None or path in equal or not plain or len(guard.values) > _MOST_VALUES:
            continue
        weak = any(type(value) is bool for value in guard.values)
        found = (len(guard.values) + 2 * weak, path, guard.values)
        if best is None or found[:2] < best[:2]:
            best = found
    if best is None:
        return None
    equal[best[1]] = best[2]
    return best[1]


def _in_signal(path: Path) -> Path | None:
    """Return the way of a guard from `signal.data`, or None for what stands elsewhere."""
    match path:
        case ("signal", "data", _, *_):
            return path[2:]
        case ("signal", name) if name in ENVELOPE:
            return path[1:]
    return None


def _value(signal: Signal, path: Path) -> Any:
    """Return the value at `path`; `_MISSING` where there is none, or none to be equal to."""
    if path == ("cluster",):
        return signal.cluster
    value: Any = signal.data
    for part in path:
        if type(value) is not dict:
            return _MISSING
        value = value.get(part, _MISSING)
    return value if type(value) in _PLAIN else _MISSING


def _text(signal: Signal, name: str) -> str:
    value = signal.cluster if name == "cluster" else signal.data.get(name)
    return value if isinstance(value, str) else ""


def _labels(signal: Signal) -> Mapping[str, str]:
    labels = signal.data.get("labels")
    if not isinstance(labels, dict):
        return {}
    return {name: value for name, value in labels.items() if isinstance(value, str)}


def _matches(text: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)
