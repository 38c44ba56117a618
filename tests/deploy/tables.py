"""The tables of docs/operations.md, made anew: `python -m tests.deploy.tables` writes them."""

from __future__ import annotations

import re
from typing import Final

from prometheus_client.metrics import MetricWrapperBase

from engine import meters
from engine.app.reasons import ALLOWED
from tests.readme import ROOT

PAGE: Final = ROOT / "docs" / "operations.md"
_ENDINGS: Final = {"counter": "_total"}


def fresh() -> str:
    """Return the page as it should be."""
    text = PAGE.read_text()
    for name, block in {"metrics": _metrics(), "reasons": _reasons()}.items():
        found = re.search(rf"<!-- {name} -->\n.*?<!-- /{name} -->", text, re.DOTALL)
        assert found is not None, f"no block '{name}'"
        made = f"<!-- {name} -->\n{block}\n<!-- /{name} -->"
        text = text[: found.start()] + made + text[found.end() :]
    return text


def _metrics() -> str:
    rows = ["| metric | kind | it says |", "| --- | --- | --- |"]
    ours = [one for one in vars(meters).values() if isinstance(one, MetricWrapperBase)]
    for one in sorted(ours, key=lambda one: one._name):
        labels = f"{{{','.join(one._labelnames)}}}" if one._labelnames else ""
        name = f"`{one._name}{_ENDINGS.get(str(one._type), '')}{labels}`"
        rows.append(f"| {name} | {one._type} | {one._documentation} |")
    return "\n".join(rows)


def _reasons() -> str:
    rows = [f"| `{reason}` | {words} |" for reason, words in ALLOWED.items()]
    return "\n".join(["| reason | allowed is |", "| --- | --- |", *rows])


if __name__ == "__main__":
    PAGE.write_text(fresh())
