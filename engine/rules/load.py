"""Rule files become one rule set: texts in, rules and every fault of every file out."""

import hashlib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from engine.model.errors import Fault
from engine.model.ids import digest
from engine.rules.actions import Known
from engine.rules.build import build
from engine.rules.draft import Draft, draft, entries, items
from engine.rules.grammar import GROUP
from engine.rules.lint import Entry, lint
from engine.rules.rule import RuleSet
from engine.rules.shaping import Notes, sound
from engine.rules.yaml import Source, read

_TEST_FILES: Final = (".test.yaml", ".test.yml")


@dataclass(frozen=True)
class Loaded:
    """What `load` found: faults in order of place; no rules where one of them is an error."""

    rules: RuleSet
    faults: list[Fault]


def load(
    files: Mapping[str, str | bytes],
    *,
    known_kinds: Mapping[str, AbstractSet[str]] | None = None,
    known_sinks: AbstractSet[str] | None = None,
) -> Loaded:
    """Return the checked rules of `files` (content by path); never raises.

    Args:
        files: YAML of each rule file by the path to show in messages.
        known_kinds: parameter names by mission kind; None: kinds are not checked.
        known_sinks: names of the sinks; None: they are not checked.
    """
    known = Known(known_kinds, known_sinks)
    notes = [_notes(path, content) for path, content in sorted(files.items())]
    entries_ = [Entry(d, build(d, known)) for n in notes for d in _drafts(n.source, n)]
    lint(entries_)
    faults = sorted({fault for n in notes for fault in n.faults})
    if any(fault.severity == "error" for fault in faults):
        return Loaded(RuleSet(), faults)
    rules = sorted((entry.rule for entry in entries_), key=lambda rule: rule.name)
    return Loaded(RuleSet(tuple(rules), _digest(files)), faults)


def _digest(files: Mapping[str, str | bytes]) -> str:
    """Return the hash of what the files say, wherever they lie."""
    raw = [text.encode() if isinstance(text, str) else text for text in files.values()]
    return digest(sorted(hashlib.sha256(content).hexdigest() for content in raw))


def _notes(path: str, content: str | bytes) -> Notes:
    source = read(path, content)
    faults = list(source.faults)
    if path.endswith(_TEST_FILES):
        message = "tests in a file of their own are not supported yet; put them into the rule"
        faults.append(Fault(path, 1, 1, message, code="unsupported"))
        source = Source(path, source.text, (), source.faults)
    elif not source.documents and not faults:
        faults.append(Fault(path, 1, 1, "the file holds no rules", "warning", "empty"))
    return Notes(source, faults=faults)


def _drafts(source: Source, notes: Notes) -> Iterator[Draft]:
    for document in source.documents:
        if document.value is None:
            continue
        group = entries(sound(document, GROUP, notes))
        metadata, spec = entries(group.get("metadata")), entries(group.get("spec"))
        name, owner = (
            str(metadata[field].value) if field in metadata else "" for field in ("name", "owner")
        )
        for rule in items(spec.get("rules")):
            yield draft(rule, spec.get("defaults"), (name, owner), notes)
