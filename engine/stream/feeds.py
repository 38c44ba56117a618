"""What a signal says to rules of other cores than `when`: steps of sequences, signs of life."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from engine.model.signal import Signal
from engine.rules.rule import Absent, Rule, Selector, Sequence
from engine.stream.absence import Word
from engine.stream.sample import Sample
from engine.stream.selection import Selection
from engine.stream.sight import Sight, sample_of

if TYPE_CHECKING:
    from engine.stream.reader import Reader

Key = tuple[str, ...]

_INVENTORY: Final[Mapping[str, tuple[str, ...]]] = {
    "name": (),
    "workload": ("Deployment", "StatefulSet", "DaemonSet"),
    "node": ("Node",),
    "namespace": ("Namespace",),
}
"""Part of a group key, finest first -> kinds of the objects that it names; (): those of `on`."""
_NAMESPACES: Final = ("namespaces",)


class Feed(Protocol):
    """What reads signals for one rule; `selectors` are those of the signals that it wants."""

    selectors: tuple[Selector, ...]

    def read(self, sight: Sight) -> Iterator[tuple[Key, Sample]]:
        """Yield what the signal says, and to which keys."""


class Steps:
    """Reads steps of a sequence: a sample for each key, with the places of the steps as `raws`."""

    def __init__(self, reader: "Reader", sequence: Sequence) -> None:
        """Read for the rule of `reader`."""
        self._reader = reader
        self._steps = [
            (step, [Selection(one) for one in step.on], reader.getters(step.by or reader.rule.by))
            for step in sequence.steps
        ]
        own = [one for step in sequence.steps for one in step.on]
        self.selectors = _each([*reader.rule.on, *own])

    def read(self, sight: Sight) -> Iterator[tuple[Key, Sample]]:
        """Yield the steps that the signal is; or that it makes `clear` true."""
        found: dict[Key, list[int]] = {}
        for place, (step, selections, getters) in enumerate(self._steps):
            takes = not sight.synced and any(one.takes(sight.signal) for one in selections)
            if takes and self._reader.asks(step.when, sight):
                key = self._reader.key(sight, getters)
                if key is not None:
                    found.setdefault(key, []).append(place)
        if found and self._reader.refuses(sight):
            return
        cleared = self._reader.clears(sight)
        if cleared and (key := self._reader.key(sight)) is not None:
            found.setdefault(key, [])
        for key, places in found.items():
            sample = sample_of(sight, "")
            sample.raws, sample.cleared, sample.met = tuple(places), cleared, bool(places)
            yield key, sample


class Signs:
    """Reads signs of life: a sample for each key, with a Word and the source as `raws`."""

    def __init__(self, reader: "Reader", absent: Absent) -> None:
        """Read for the rule of `reader`."""
        rule = reader.rule
        self._reader = reader
        self._heard = [Selection(one) for one in rule.on]
        self._inventory = Inventory(rule) if absent.expect == "inventory" else None
        known = self._inventory.selectors if self._inventory else ()
        self._of_objects = reader.getters(self._inventory.by) if self._inventory else []
        self.selectors = _each([*rule.on, *known])

    def read(self, sight: Sight) -> Iterator[tuple[Key, Sample]]:
        """Yield that a key was heard of, that its object exists, or both."""
        reader, inventory, heard, known = self._reader, self._inventory, None, None
        if any(one.takes(sight.signal) for one in self._heard):
            heard = reader.key(sight)
        if inventory is not None and inventory.lists(sight.signal):
            known = reader.key(sight, self._of_objects)
        if heard is not None:
            alive = inventory is None or heard == known
            yield heard, self._sample(sight, Word.ALIVE if alive else Word.HEARD)
        if known is not None and known != heard:
            yield known, self._sample(sight, Word.EXISTS)

    def _sample(self, sight: Sight, word: Word) -> Sample:
        sample = sample_of(sight, sight.series if sight.mortal else "")
        sample.raws = (word.value, sight.signal.source)
        sample.cleared = self._reader.clears(sight)
        return sample


class Inventory:
    """Which objects make the keys of a rule known: those that the finest part of the key names.

    `by` is the group key of such an object, `selectors` are what the index looks for.
    """

    def __init__(self, rule: Rule) -> None:
        """Read for a rule whose `by` names objects, as the loader checked."""
        self._named = next(one for one in _INVENTORY if one in rule.by)
        kinds = _INVENTORY[self._named] or tuple({kind: 0 for on in rule.on for kind in on.kinds})
        self.by = ["name" if name == self._named else name for name in rule.by]
        within = "namespaces" if self._named in {"name", "workload"} else "clusters"
        self.selectors = _each([_of_objects(on, kinds, {"clusters", within}) for on in rule.on])
        self._namespaces = [
            Selection(
                Selector("k8s.object", namespaces=on.namespaces, exclude=_only(on, _NAMESPACES))
            )
            for on in rule.on
        ]
        self._selections = [Selection(one) for one in self.selectors]

    def lists(self, signal: Signal) -> bool:
        """Whether `signal` is about such an object."""
        if not any(one.takes(signal) for one in self._selections):
            return False
        if self._named != "namespace":
            return True
        within = {**signal.data, "namespace": signal.data.get("name")}
        named = msgspec.structs.replace(signal, data=within)
        return any(one.takes(named) for one in self._namespaces)


def _of_objects(on: Selector, kinds: tuple[str, ...], lists: set[str]) -> Selector:
    """Return the selector of objects of `kinds` where `on` looks, by the named lists of it."""
    namespaces = on.namespaces if "namespaces" in lists else ()
    return Selector(
        "k8s.object",
        kinds=kinds,
        clusters=on.clusters,
        namespaces=namespaces,
        exclude=_only(on, lists),
    )


def _only(on: Selector, lists: Iterable[str]) -> dict[str, tuple[str, ...]]:
    return {name: on.exclude[name] for name in sorted(lists) if name in on.exclude}


def _each(selectors: Iterable[Selector]) -> tuple[Selector, ...]:
    """Return every selector once; they hold mappings, so they have no hash."""
    return tuple({repr(one): one for one in selectors}.values())
