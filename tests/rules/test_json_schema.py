"""The JSON schema is the grammar, as editors read it."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.rules.grammar import GROUP
from engine.rules.grammar import TESTS as TESTS_GRAMMAR
from engine.rules.json_schema import json_schema
from engine.rules.shapes import Either, Field, Items, Record, Shape, Table
from engine.rules.yaml import read

RULES = Path(__file__).parents[2] / "rules"
FILES = sorted(RULES.glob("*.yaml"))


KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}


def breaches(value: Any, schema: Mapping[str, Any], at: str = "") -> list[str]:
    """Return where `value` breaks `schema`: the words of JSON schema that ours uses."""
    if "if" in schema:
        return breaches(value, schema["else" if breaches(value, schema["if"]) else "then"], at)
    if "anyOf" in schema:
        fits = any(not breaches(value, option) for option in schema["anyOf"])
        return [] if fits else [f"{at}: none of the forms"]
    if "type" in schema and not isinstance(value, KINDS[schema["type"]]):
        return [f"{at}: no {schema['type']}"]
    checks: dict[str, Callable[[Any], object]] = {
        "enum": lambda allowed: value in allowed,
        "const": lambda wanted: value == wanted,
        "maximum": lambda most: value <= most,
        "minimum": lambda least: value >= least,
        "pattern": lambda pattern: re.search(pattern, value),
        "minItems": lambda least: len(value) >= least,
        "maxItems": lambda most: len(value) <= most,
        "required": lambda names: set(names) <= value.keys(),
    }
    found = [f"{at}: {word}" for word in checks.keys() & schema if not checks[word](schema[word])]
    return found + [breach for part in inner(value, schema, at) for breach in breaches(*part)]


def inner(value: Any, schema: Mapping[str, Any], at: str) -> Iterator[tuple[Any, Any, str]]:
    """Yield the parts of `value` with their schemas; an unknown field fits no schema."""
    if isinstance(value, list) and "items" in schema:
        yield from ((item, schema["items"], f"{at}[{i}]") for i, item in enumerate(value))
    if isinstance(value, dict):
        others = schema.get("additionalProperties", {})
        nothing: dict[str, Any] = {"enum": []}
        known: dict[str, Any] = defaultdict(lambda: nothing if others is False else others)
        known.update(schema.get("properties", {}))
        yield from ((item, known[name], f"{at}.{name}") for name, item in value.items())


ALL = (Path(__file__).parent / "all_fields.yaml").read_text(encoding="utf-8")
TESTS = """\
apiVersion: dogwatch.dev/v1
kind: RuleTests
spec:
  tests:
    - {rule: a, name: b, signals: [{at: 1m, type: watcher.heartbeat}], expect: []}
"""


def documents(text: str | bytes) -> list[Any]:
    return [document.plain() for document in read("a.yaml", text).documents]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_files_meet_the_schema(path: Path) -> None:
    for document in documents(path.read_bytes()):
        assert breaches(document, json_schema()) == []


@pytest.mark.parametrize("text", [ALL, TESTS])
def test_every_field_and_a_test_file_meet_the_schema(text: str) -> None:
    (document,) = documents(text)
    assert breaches(document, json_schema()) == []


@pytest.mark.parametrize(
    "change",
    [
        ("type: tumbling", "type: tumblng"),
        ("gap: 2m", "gap: soon"),
        ("fn: p99", "fn: p98"),
        ("expect: inventory", "expect: known"),
        ("catch_up: last", "catch_up: first"),
        ("- {id: killed,", "- {idd: killed,"),
        ("max_per_hour: 10", "max_per_hour: -1"),
        ("weekdays: [monday:friday]", "weekdays: [mon:fri]"),
        ("years: [2026:2030]", "years: [26]"),
        ('start_time: "00:00"', 'start_time: "25:00"'),
        ("mode: shadow", "mode: shade"),
    ],
)
def test_a_mistake_in_a_new_field_breaks_the_schema(change: tuple[str, str]) -> None:
    assert change[0] in ALL
    (document,) = documents(ALL.replace(*change, 1))
    assert breaches(document, json_schema())


@pytest.mark.parametrize("change", [("RuleTests", "RuleGroup"), ("rule: a", "rul: a")])
def test_a_test_file_is_held_against_its_own_grammar(change: tuple[str, str]) -> None:
    (document,) = documents(TESTS.replace(*change))
    assert breaches(document, json_schema())


def test_an_editor_can_say_what_each_field_is() -> None:
    fields = [field for schema in (GROUP, TESTS_GRAMMAR) for field in described(schema)]
    assert len(fields) > 100
    assert all(field.doc.endswith((".", "?")) and len(field.doc) < 160 for field in fields)


def described(shape: Shape) -> Iterator[Field]:
    """Yield every field of the grammar."""
    match shape:
        case Record():
            for field in shape.fields.values():
                yield field
                yield from described(field.shape)
        case Either():
            yield from described(shape.long)
        case Items() | Table():
            yield from described(shape.of)
        case _:
            return


@pytest.mark.parametrize(
    "change",
    [
        ("kind: RuleGroup", "kind: Rules"),
        ("on:", "onn:"),
        ("for: 15m", "for: soon"),
        ("when:", "schedule:"),
        ("name: node-not-ready", "name: Node Not Ready"),
        ("state: firing", "state: fires"),
    ],
)
def test_a_mistake_breaks_the_schema(change: tuple[str, str]) -> None:
    text = (RULES / "nodes.yaml").read_text(encoding="utf-8")
    assert change[0] in text
    (document,) = documents(text.replace(*change, 1))
    assert breaches(document, json_schema())


def test_the_shipped_schema_is_the_one_of_the_grammar() -> None:
    shipped = (RULES / "schema.json").read_text(encoding="utf-8")
    assert shipped == json.dumps(json_schema(), indent=2) + "\n"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_files_name_the_schema_in_their_first_line(path: Path) -> None:
    first, _, _ = path.read_text(encoding="utf-8").partition("\n")
    assert first == "# yaml-language-server: $schema=schema.json"
