"""Tests of rules in files of their own: `*.test.yaml`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from engine.rules.draft import entries, items
from engine.rules.entry import Entry
from engine.rules.grammar import TESTS
from engine.rules.rule import Rule
from engine.rules.shaping import Notes, sound
from engine.rules.test_data import check_test
from engine.rules.wording import quoted, unknown
from engine.rules.yaml import Node

_ENDINGS: Final = (".test.yaml", ".test.yml")


def is_test_file(path: str) -> bool:
    """Tell whether the file `path` holds tests only."""
    return path.endswith(_ENDINGS)


def attach(rules: Sequence[Entry], files: Iterable[Notes]) -> list[Entry]:
    """Return the rules with the tests of all test files among `files` behind their own.

    A test of no known rule is told.
    """
    added: dict[str, list[tuple[Node, str]]] = {entry.rule.name: [] for entry in rules}
    for notes in files:
        if is_test_file(notes.source.path):
            _read(notes, added)
    return [replace(entry, rule=_with(entry.rule, added[entry.rule.name])) for entry in rules]


def _read(notes: Notes, added: Mapping[str, list[tuple[Node, str]]]) -> None:
    for document in notes.source.documents:
        if document.value is None:
            continue
        spec = entries(entries(sound(document, TESTS, notes)).get("spec"))
        for test in items(spec.get("tests")):
            place = entries(test).get("rule")
            if place is None:
                continue
            name = str(place.value)
            check_test(test, notes)
            if name in added:
                added[name].append((test, notes.source.path))
            elif any(added):
                notes.error(place, unknown("rule", name, filter(None, added)), "test-rule")
            else:
                message = f"no rule {quoted(name)}: give the file of the rule too"
                notes.error(place, message, "test-rule")


def _with(rule: Rule, added: Sequence[tuple[Node, str]]) -> Rule:
    if not added:
        return rule
    return replace(
        rule,
        tests=(*rule.tests, *(_plain(node) for node, _ in added)),
        tests_lines=(*rule.tests_lines, *(node.line for node, _ in added)),
        tests_paths=(*rule.tests_paths, *(path for _, path in added)),
    )


def _plain(node: Node) -> Mapping[str, object]:
    return {name: part.plain() for name, part in entries(node).items() if name != "rule"}
