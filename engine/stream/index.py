"""Index: a signal meets only the rules that it can match.

Two steps by equality: type and kind (or metric), then a few more values that a rule needs to be
one of a set, or to begin with: lists of `on`, one label, and one comparison with a literal that
`when` needs to be true (see Program.guards). What is left is asked of the few that remain.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any, Final, NamedTuple

from engine.model.signal import ENVELOPE, Signal, cluster_of
from engine.rules.cel import Guard
from engine.rules.labels import parse_labels
from engine.rules.rule import Selector
from engine.stream.reader import Reader
from engine.stream.selection import FIELDS, Selection

_GLOB: Final = frozenset("*?[")
_MOST_VALUES: Final = 64
_MOST_PLACES: Final = 10_000
"""Types and kinds of signals of which it is remembered which rules may take them."""
_MISSING: Final = object()
_OTHER: Final = object()
_PLAIN: Final = frozenset({str, int, bool, float})

Path = tuple[str, ...]
Begins = tuple[Path, frozenset[str]]
"""A path, and with one of which texts its value begins."""


class Entry(NamedTuple):
    """One selector of one rule: what must be equal, or begin so, and what is asked after that.

    `rest` is what these do not decide, None where they decide all.

    `guard` is the path, in `equal` or of `prefix`, at which `when` needs a value.
    """

    reader: Reader
    rest: Selection | None
    equal: Mapping[Path, frozenset[Any]]
    prefix: Begins | None
    guard: Path | None


class Form(NamedTuple):
    """What entries of one shape have in common: the paths in their order, the guard last.

    `prefix` is the place of the one whose value needs only to begin so, -1: all are equal.
    """

    paths: tuple[Path, ...]
    guarded: bool
    prefix: int


class Shape:
    """Entries of one form: one look-up for all of them, or one for each length of a prefix.

    `lacking` counts, for entries with a guard, signals that lack the field it looks at.
    """

    __slots__ = ("_by_selector", "_form", "_lengths", "_names", "_table", "lacking")

    def __init__(self, form: Form) -> None:
        self._form = form
        flat = all(len(path) == 1 and path != ("cluster",) for path in form.paths)
        self._names = [path[0] for path in form.paths] if flat and form.prefix < 0 else None
        self._lengths: list[int] = []
        self._table: dict[tuple[Any, ...], list[Entry]] = {}
        self._by_selector: dict[tuple[Any, ...], list[Entry]] = {}
        self.lacking: Counter[tuple[Any, ...]] = Counter()

    def add(self, entry: Entry) -> None:
        """Take in an entry of this form."""
        wanted = dict(entry.equal)
        if entry.prefix is not None:
            path, prefixes = entry.prefix
            wanted[path] = prefixes
            self._lengths = sorted({*self._lengths, *map(len, prefixes)})
        for values in product(*(sorted(wanted[path], key=repr) for path in self._form.paths)):
            self._table.setdefault(values, []).append(entry)
            if self._form.guarded:
                selected = self._by_selector.setdefault(values[:-1], [])
                if not selected or selected[-1] is not entry:
                    selected.append(entry)

    def find(self, signal: Signal) -> Iterable[Entry]:
        """Return the entries whose paths have the values that `signal` has."""
        if self._names is None:
            values = tuple([_value(signal, path) for path in self._form.paths])
        else:
            get = signal.data.get
            values = tuple([get(name, _MISSING) for name in self._names])
        if self._form.prefix >= 0:
            return self._beginning(values)
        try:
            found = self._table.get(values)
        except TypeError:  # a list or an object is equal to no literal
            return ()
        if found is None:
            if self._form.guarded and values[-1] is _MISSING:
                self._lack(values[:-1])
            return ()
        return found

    def begins(self, path: Path, text: str) -> bool:
        """Whether an entry may take signals that have `text` at `path`."""
        place = self._form.prefix
        if place < 0 or self._form.paths[place] != path:
            return True
        wanted = {values[place] for values in self._table}
        return any(text[:length] in wanted for length in self._lengths)

    def missed(self, counters: Counter[str]) -> None:
        """Add to `counters` the missing fields of rules that were not even asked."""
        for selected, count in self.lacking.items():
            for entry in self._by_selector[selected]:
                when = entry.reader.rule.when
                if when is not None and "has(" not in when.source:
                    counters[f'missing_field{{rule="{entry.reader.rule.name}"}}'] += count

    def _beginning(self, values: tuple[Any, ...]) -> Iterable[Entry]:
        """Return the entries for values of which one needs only to begin as theirs does."""
        place = self._form.prefix
        text, last = values[place], place == len(values) - 1
        if self._form.guarded and last and type(text) is not str:
            if text is not _MISSING:  # an error of the expression, which the rule must see
                return self._by_selector.get(values[:-1], ())
            self._lack(values[:-1])
        if type(text) is not str:
            return ()
        found: list[Entry] = []
        for length in self._lengths:
            key = (*values[:place], text[:length], *values[place + 1 :])
            found += self._table.get(key, ()) if length <= len(text) else ()
            if self._form.guarded and not last and values[-1] is _MISSING:
                self._lack(key[:-1])
        return found

    def _lack(self, selected: tuple[Any, ...]) -> None:
        if selected in self._by_selector:
            self.lacking[selected] += 1


class Index:
    """All enabled rules by what they can match."""

    def __init__(self, readers: Iterable[Reader]) -> None:
        self._shapes: dict[tuple[str, Any], dict[Form, Shape]] = {}
        for reader in readers:
            for selector in reader.selectors:
                self._add(_entry(reader, selector), selector.type)
        self._places: dict[tuple[str, str | None], tuple[Shape, ...]] = {}

    def find(self, signal: Signal) -> list[Reader]:
        """Return the readers of the rules whose `on` takes `signal`, each once."""
        found: list[Reader] = []
        for entry in self.candidates(signal):
            if (entry.rest is None or entry.rest.takes(signal)) and entry.reader not in found:
                found.append(entry.reader)
        return found

    def candidates(self, signal: Signal) -> Iterable[Entry]:
        """Return the entries that must be asked, one by one, whether they take `signal`."""
        return [entry for shape in self.shapes(signal) for entry in shape.find(signal)]

    def shapes(self, signal: Signal) -> tuple[Shape, ...]:
        """Return where rules stand that may take signals of the type and kind of `signal`."""
        kind = signal.type
        first = signal.data.get("metric" if kind == "metric" else "kind")
        place = (kind, first if type(first) is str else None)
        shapes = self._places.get(place)
        return self._narrowed(place) if shapes is None else shapes

    def missed(self, counters: Counter[str]) -> None:
        """Add to `counters` the missing fields that the index saw for the rules."""
        for shapes in self._shapes.values():
            for shape in shapes.values():
                shape.missed(counters)

    def _add(self, entry: Entry, kind: str) -> None:
        first = _first(kind)
        equal = dict(entry.equal)
        names = equal.pop(first, frozenset({None}))
        entry = entry._replace(equal=equal)
        begins = entry.prefix[:1] if entry.prefix else ()
        paths = sorted({*equal, *begins})
        guarded = entry.guard in paths
        paths.sort(key=lambda path: path == entry.guard)
        place = paths.index(begins[0]) if begins else -1
        form = Form(tuple(paths), guarded, place)
        for name in names:
            shapes = self._shapes.setdefault((kind, name), {})
            shapes.setdefault(form, Shape(form)).add(entry)

    def _narrowed(self, place: tuple[str, str | None]) -> tuple[Shape, ...]:
        """Return the shapes of a type and kind, those for any kind included; remember them."""
        kind, first = place
        found = [*self._shapes.get(place, {}).values()]
        if first is not None:
            others = self._shapes.get((kind, None), {}).values()
            found += [one for one in others if one.begins(_first(kind), first)]
        if len(self._places) < _MOST_PLACES:
            self._places[place] = tuple(found)
        return tuple(found)


def _first(kind: str) -> Path:
    return ("metric",) if kind == "metric" else ("kind",)


def _entry(reader: Reader, selector: Selector) -> Entry:
    equal, begins = _listed(selector)
    guard = _guard(reader, {*equal, *(path for path, _ in begins)}, prefix=not begins)
    if guard is not None and guard[1].prefix:
        begins.append((guard[0], guard[1].values))
    elif guard is not None:
        equal[guard[0]] = guard[1].values
    size = 1
    for path in sorted(equal):
        size *= len(equal[path])
        if size > _MOST_VALUES:
            size //= len(equal.pop(path))
    prefix = max(begins, key=lambda one: min(map(len, one[1])), default=None)
    return Entry(reader, _rest(selector, equal), equal, prefix, guard[0] if guard else None)


def _rest(selector: Selector, equal: Mapping[Path, Any]) -> Selection | None:
    """Return what is left to be asked where all that is in `equal` was, None for nothing."""
    asked: dict[str, Any] = {name: () for name, field in FIELDS.items() if (field,) in equal}
    left = replace(selector, **asked)
    listed = any(getattr(left, name) for name in FIELDS)
    return Selection(left) if listed or left.labels or left.exclude else None


def _listed(selector: Selector) -> tuple[dict[Path, frozenset[Any]], list[Begins]]:
    """Return what `selector` needs to be equal, and what it needs to begin with."""
    equal: dict[Path, frozenset[Any]] = {}
    begins: list[Begins] = []
    for name, field in FIELDS.items():
        listed = getattr(selector, name)
        fixed = frozenset(map(_fixed, listed))
        if fixed == frozenset(listed):
            equal[field,] = fixed
        elif all(fixed):
            begins.append(((field,), fixed))
    for one in parse_labels(selector.labels) if selector.labels else ():
        if one.wanted and one.values:
            equal["labels", one.key] = one.values
    few = {path: values for path, values in equal.items() if 0 < len(values) <= _MOST_VALUES}
    return few, [one for one in begins if len(one[1]) <= _MOST_VALUES]


def _fixed(glob: str) -> str:
    """Return what every text that `glob` matches begins with."""
    return next((glob[:place] for place, char in enumerate(glob) if char in _GLOB), glob)


def _guard(reader: Reader, known: set[Path], *, prefix: bool) -> tuple[Path, Guard] | None:
    """Return the comparison of `when` that tells most apart, and its path within a signal.

    A level with `clear`, and what is remembered or heard whatever it says, must be asked even
    where `when` is false, so it has none.

    Args:
        reader: the rule.
        known: paths that are looked at already.
        prefix: whether a comparison of the beginning is of use.
    """
    rule = reader.rule
    asked = reader.remembers or (reader.lasting and not reader.windowed)
    if rule.when is None or asked:
        return None
    found: list[tuple[int, Path, Guard]] = []
    for guard in rule.when.guards:
        path = _in_signal(guard.path)
        plain = all(type(value) in _PLAIN for value in guard.values)
        if path is None or path in known or not plain or len(guard.values) > _MOST_VALUES:
            continue
        weak = any(type(value) is bool for value in guard.values)
        if prefix or not guard.prefix:
            found.append((len(guard.values) + 2 * weak, path, guard))
    if not found:
        return None
    _, path, guard = min(found, key=lambda one: one[:2])
    return path, guard


def _in_signal(path: Path) -> Path | None:
    """Return the way of a guard from `signal.data`, or None for what stands elsewhere."""
    match path:
        case ("signal", "data", _, *_):
            return path[2:]
        case ("signal", name) if name in ENVELOPE:
            return path[1:]
    return None


def _value(signal: Signal, path: Path) -> Any:
    """Return the value at `path`, `_MISSING` where there is none, `_OTHER` for no plain one."""
    if path == ("cluster",):
        return cluster_of(signal)
    value: Any = signal.data
    for part in path:
        if type(value) is not dict:
            return _MISSING
        value = value.get(part, _MISSING)
    return value if type(value) in _PLAIN or value is _MISSING else _OTHER
