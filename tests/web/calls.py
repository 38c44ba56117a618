"""The table of docs/api.md, made anew: `python -m tests.web.calls` writes it."""

from __future__ import annotations

import re
from typing import Final

from engine.web.api import CALLS
from tests.readme import ROOT

PAGE: Final = ROOT / "docs" / "api.md"
_BLOCK: Final = re.compile(r"(<!-- calls -->\n).*?(<!-- /calls -->)", re.DOTALL)


def fresh() -> str:
    """Return the page as it should be."""
    rows = ["| call | with | it does |", "| --- | --- | --- |"]
    for call in CALLS:
        model = call.body or call.query
        fields = ", ".join(f"`{name}`" for name in model.model_fields) if model else ""
        rows.append(f"| `{call.method} {call.path}` | {fields} | {call.summary} |")
    table = "\n".join(rows)
    return _BLOCK.sub(lambda found: f"{found[1]}{table}\n{found[2]}", PAGE.read_text())


if __name__ == "__main__":
    PAGE.write_text(fresh())
