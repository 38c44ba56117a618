"""What the verbs share of printing: forms, JSON, tables, whether a terminal listens."""

import json
import sys
import textwrap
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

CELL = 200
"""Characters of one cell of a table."""
_NARROWEST = 20


class Form(StrEnum):
    """How data is printed."""

    TEXT = "text"
    JSON = "json"


Output = Annotated[Form, typer.Option("--output", "-o", help="How to print the data.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")]
ConfigFile = Annotated[
    str,
    typer.Option(
        "--config", "-c", envvar="DOGWATCH_CONFIG", help="The configuration file.", metavar="FILE"
    ),
]


def on_terminal() -> bool:
    """Whether standard output is a terminal: colours and progress only then."""
    return sys.stdout.isatty()


def print_json(value: Any) -> None:
    """Print `value` as indented JSON with sorted keys, in ASCII: nothing steers a terminal."""
    typer.echo(json.dumps(value, indent=2, sort_keys=True, default=_plain))


def print_line(value: Any) -> None:
    """Print `value` as one line of JSON, in ASCII."""
    typer.echo(json.dumps(value, default=_plain))


def print_table(
    heads: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str, width: int = 0
) -> None:
    """Print `rows` in columns as wide as their texts, or `empty` when there are none.

    With a `width` the texts of the last column go on in further lines where they are too long.
    """
    from engine.report.clean import clean

    texts = [[clean(_cell(cell), CELL) for cell in row] for row in rows]
    if not texts:
        typer.echo(empty)
        return
    widths = [max(len(row[i]) for row in [list(heads), *texts]) for i in range(len(heads))]
    for row in [[head.upper() for head in heads], *texts]:
        cells = [cell.ljust(wide) for cell, wide in zip(row[:-1], widths[:-1], strict=True)]
        before = "".join(f"{cell}  " for cell in cells)
        left = max(width - len(before), _NARROWEST) if width else CELL
        last, *more = textwrap.wrap(row[-1], left) or [""]
        typer.echo(f"{before}{last}".rstrip())
        for line in more:
            typer.echo(" " * len(before) + line)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, (set, frozenset, tuple)):
        return sorted(value)
    return str(value)
