"""What stands between the marks of docs/rules.md, made anew: `python -m tests.docs` writes it."""

from __future__ import annotations

import re
from textwrap import indent
from typing import TYPE_CHECKING

from engine.rules.grammar import RULE
from engine.rules.load import load
from engine.rules.shapes import Either, Items, Record, Table
from engine.stream import selftest, verdicts
from tests.readme import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.rules.shapes import Shape

RULES = ROOT / "docs" / "rules.md"
TEST_FILE = "kind: RuleTests"
_GROUP = """\
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: example, owner: sre}
spec:
  rules:
"""
_WRONG = "{at: 8m, key: {workload: web}, state: firing}"
_ELSEWHERE = ("tests", "sequence.steps.on")
"""Fields whose own fields are told elsewhere."""


def fresh() -> str:
    """Return docs/rules.md as it should be."""
    rows = ["| field | meaning |", "|---|---|"]
    rows += [f"| `{name}` | {said} |" for name, said in _fields(RULE, "")]
    text = RULES.read_text()
    for name, block in {"fields": "\n".join(rows), "failure": _failure(text)}.items():
        pattern = re.compile(rf"<!-- {name} -->\n.*?<!-- /{name} -->", re.DOTALL)
        found = pattern.search(text)
        assert found is not None, f"docs/rules.md has no block '{name}'"
        made = f"<!-- {name} -->\n{block}\n<!-- /{name} -->"
        text = text[: found.start()] + made + text[found.end() :]
    return text


def examples(text: str) -> list[str]:
    """Return every YAML example as a whole rule file; single rules get a group round them.

    Files of tests are left out: `apart_from_rules` returns them.
    """
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    blocks = [block for block in blocks if TEST_FILE not in block]
    return [block if "apiVersion" in block else _GROUP + indent(block, "    ") for block in blocks]


def apart_from_rules(text: str) -> list[str]:
    """Return every YAML example that is a file of tests."""
    blocks: list[str] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    return [block for block in blocks if TEST_FILE in block]


def _failure(text: str) -> str:
    """Return what a wrong test of the rule restart-storm looks like."""
    (example,) = [one for one in examples(text) if "name: restart-storm" in one]
    wrong = example.replace("{at: 10m, state: firing, value: {restarts: 6}}", _WRONG)
    assert wrong != example
    told = verdicts.to_text(selftest.run(load({"rules/web.yaml": wrong}).rules))
    return "```\n" + "\n".join(told.splitlines()[:-1]) + "\n```"


def _fields(record: Record, before: str) -> Iterator[tuple[str, str]]:
    """Yield every field below `record` by its path, with what the grammar says of it."""
    for name, field in record.fields.items():
        yield f"{before}{name}", field.doc.replace("|", "\\|")
        inner = _record(field.shape)
        if inner is not None and f"{before}{name}" not in _ELSEWHERE:
            yield from _fields(inner, f"{before}{name}.")


def _record(shape: Shape) -> Record | None:
    while isinstance(shape, Items | Table | Either):
        shape = shape.long if isinstance(shape, Either) else shape.of
    return shape if isinstance(shape, Record) else None


if __name__ == "__main__":
    RULES.write_text(fresh())
