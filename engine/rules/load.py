"""Rule files become one rule set: texts in, rules and every fault of every file out."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from engine.model.errors import Fault
from engine.model.ids import digest
from engine.rules.actions import Known
from engine.rules.build import Surroundings, build
from engine.rules.correlations import can_correlate, refuse
from engine.rules.draft import Draft, draft, entries, items
from engine.rules.entry import Entry
from engine.rules.grammar import GROUP
from engine.rules.intervals import intervals
from engine.rules.lint import lint
from engine.rules.parameters import KindShape
from engine.rules.rule import RuleSet
from engine.rules.shaping import Notes, sound
from engine.rules.test_files import attach, is_test_file
from engine.rules.yaml import Node, read

_SUBJECT: Final = re.compile(r"^rule \S+: ")


@dataclass(frozen=True)
class Loaded:
    """What `load` found: faults in order of place; no rules where one of them is an error."""

    rules: RuleSet
    faults: list[Fault]


def load(
    files: Mapping[str, str | bytes],
    *,
    known_kinds: Mapping[str, KindShape] | None = None,
    known_sinks: AbstractSet[str] | None = None,
    correlates: bool | None = None,
) -> Loaded:
    """Return the checked rules of `files` (content by path); never raises.

    Args:
        files: YAML of each rule file by the path to show in messages.
        known_kinds: the parameters of each mission kind; None: kinds are not checked.
        known_sinks: names of the sinks; None: they are not checked.
        correlates: whether rules with `correlate` can be evaluated, or are left out; None: as far
            as what they need is installed.
    """
    notes = [_notes(path, content) for path, content in sorted(files.items())]
    groups = [group for n in notes if not is_test_file(n.source.path) for group in _groups(n)]
    named = intervals((group.spec.get("intervals"), group.notes) for group in groups)
    around = Surroundings(Known(known_kinds, known_sinks), named)
    drafts = [one for group in groups for one in group.drafts()]
    entries_ = attach([Entry(one, build(one, around)) for one in drafts], notes)
    lint(entries_)
    if not (can_correlate() if correlates is None else correlates):
        entries_ = [entry for entry in entries_ if not refuse(entry)]
    faults = _once(fault for n in notes for fault in n.faults)
    if any(fault.severity == "error" for fault in faults):
        return Loaded(RuleSet(), faults)
    rules = sorted((entry.rule for entry in entries_), key=lambda rule: rule.name)
    return Loaded(RuleSet(tuple(rules), _digest(files)), faults)


def _once(faults: Iterable[Fault]) -> list[Fault]:
    """Return the faults in order; one in the defaults is told once, not for every rule."""
    found: dict[tuple[str, int, int, str], Fault] = {}
    for fault in sorted(faults):
        said = _SUBJECT.sub("", fault.message)
        found.setdefault((fault.path, fault.line, fault.column, said), fault)
    return list(found.values())


def _digest(files: Mapping[str, str | bytes]) -> str:
    """Return the hash of what the files say, wherever they lie."""
    raw = [text.encode() if isinstance(text, str) else text for text in files.values()]
    return digest(sorted(hashlib.sha256(content).hexdigest() for content in raw))


def _notes(path: str, content: str | bytes) -> Notes:
    source = read(path, content)
    faults = list(source.faults)
    if not source.documents and not faults:
        faults.append(Fault(path, 1, 1, "the file holds no rules", "warning", "empty"))
    return Notes(source, faults=faults)


@dataclass(frozen=True)
class _Group:
    """One document: a rule group whose parts are sound."""

    name: str
    owner: str
    spec: Mapping[str, Node]
    notes: Notes

    def drafts(self) -> Iterator[Draft]:
        for rule in items(self.spec.get("rules")):
            yield draft(rule, self.spec.get("defaults"), (self.name, self.owner), self.notes)


def _groups(notes: Notes) -> Iterator[_Group]:
    for document in notes.source.documents:
        if document.value is None:
            continue
        group = entries(sound(document, GROUP, notes))
        metadata, spec = entries(group.get("metadata")), entries(group.get("spec"))
        name, owner = (
            str(metadata[field].value) if field in metadata else "" for field in ("name", "owner")
        )
        if "spec" in group and not group["spec"].keys.keys() & {"rules", "intervals"}:
            notes.error(group["spec"], "spec has neither rules nor intervals", "missing")
        yield _Group(name, owner, spec, notes)
