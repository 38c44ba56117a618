"""Faults as text, JSON and SARIF."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from engine.model.errors import Fault

_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def to_text(faults: Iterable[Fault], sources: Mapping[str, str] | None = None) -> str:
    """Return one line for each fault, in the order given.

    With `sources` (text by path) the line in question follows, with a caret under the place.
    """
    lines: list[str] = []
    for fault in faults:
        lines.append(str(fault))
        if sources and fault.path in sources:
            lines += _pointed(fault, sources[fault.path])
    return "\n".join(lines)


def _pointed(fault: Fault, text: str) -> list[str]:
    """Return the line of the fault and the caret; long lines are cut around the place."""
    lines = text.split("\n")
    if not 1 <= fault.line <= len(lines):
        return []
    line = lines[fault.line - 1].replace("\t", " ")
    start = max(0, fault.column - 61)
    return ["    " + line[start : start + 100], "    " + " " * (fault.column - 1 - start) + "^"]


def to_json(faults: Iterable[Fault]) -> str:
    """Return the faults as a JSON list of {path, line, column, severity, code, message}."""
    return json.dumps([asdict(fault) for fault in faults], indent=2, ensure_ascii=False)


def to_sarif(faults: Iterable[Fault]) -> str:
    """Return the faults as a SARIF 2.1.0 log with one run."""
    every = list(faults)
    driver = {
        "name": "dogwatch",
        "rules": [{"id": code} for code in sorted({fault.code for fault in every})],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(fault) for fault in every],
    }
    log = {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False)


def _result(fault: Fault) -> dict[str, Any]:
    region = {"startLine": fault.line, "startColumn": fault.column}
    location = {"artifactLocation": {"uri": fault.path}, "region": region}
    return {
        "ruleId": fault.code,
        "level": fault.severity,
        "message": {"text": fault.message},
        "locations": [{"physicalLocation": location}],
    }
