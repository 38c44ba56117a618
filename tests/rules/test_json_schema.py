"""The JSON schema is the grammar, as editors read it."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.rules.json_schema import json_schema
from engine.rules.yaml import read

RULES = Path(__file__).parents[2] / "rules"
FILES = sorted(RULES.glob("*.yaml"))


KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}


def breaches(value: Any, schema: Mapping[str, Any], at: str = "") -> list[str]:
    """Return where `value` breaks `schema`: the words of JSON schema that ours uses."""
    if "anyOf" in schema:
        fits = any(not breaches(value, option) for option in schema["anyOf"])
        return [] if fits else [f"{at}: none of the forms"]
    if "type" in schema and not isinstance(value, KINDS[schema["type"]]):
        return [f"{at}: no {schema['type']}"]
    checks: dict[str, Callable[[Any], object]] = {
        "enum": lambda allowed: value in allowed,
        "pattern": lambda pattern: re.search(pattern, value),
        "minItems": lambda least: len(value) >= least,
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


def documents(text: str | bytes) -> list[Any]:
    return [document.plain() for document in read("a.yaml", text).documents]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_files_meet_the_schema(path: Path) -> None:
    for document in documents(path.read_bytes()):
        assert breaches(document, json_schema()) == []


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
