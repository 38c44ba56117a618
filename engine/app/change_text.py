"""Changes for a terminal: what would be done before a person decides, and how they stand."""

from collections.abc import Iterator, Sequence

from engine.model.change_row import ChangeRow
from engine.report.clean import clean, clean_lines
from engine.report.words import instant
from engine.web.views import ChangeView

DIFF = 200_000
"""Characters of a diff."""
_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[2m"}
_PLAIN = "\x1b[0m"


def change_text(view: ChangeView, *, colour: bool) -> str:
    """Return all that a person should see before deciding, the diff in the middle."""
    return "\n".join(_told(view, colour=colour))


def changes_text(rows: Sequence[ChangeRow]) -> str:
    """Return the changes of a mission, counted from 1, each with its decisions."""
    lines = []
    for at, row in enumerate(rows, 1):
        why = f": {clean(row.reason)}" if row.reason else ""
        lines.append(f"  {at}  {clean(row.draft.title)} is {row.state}{why}  {row.id}")
        for one in row.decisions:
            said = f" ({clean(one.comment)})" if one.comment else ""
            lines.append(f"     {clean(one.who)} said {one.verdict} via {one.via}, "
                         f"{instant(one.at)}{said}")  # fmt: skip
    return "\n".join(["changes", *lines]) if lines else ""


def _told(view: ChangeView, *, colour: bool) -> Iterator[str]:
    yield clean(view.title)
    yield f"  {'object':<11}{clean(view.target)} in {clean(view.cluster)}"
    yield f"  {'state':<11}{view.state}{': ' + clean(view.reason) if view.reason else ''}"
    if view.work is None:
        yield "  it is not worked out yet"
        return
    yield f"  {'risk':<11}{view.risk}"
    yield f"  {'undone':<11}{view.work.reversible}: {clean(view.work.why_reversible)}"
    if view.work.blast:
        yield f"  {'touches':<11}{clean(view.work.blast)}"
    if view.expires:
        yield f"  {'decide by':<11}{instant(view.expires)}"
    if view.why:
        yield f"  {'why now':<11}{clean(view.why)}"
    for line in view.work.lines:
        yield f"  - {clean(line)}"
    yield ""
    yield from (_coloured(line, colour=colour) for line in _lines(view.work.diff))
    yield ""
    for note in view.work.notes:
        yield f"  note: {clean(note)}"
    if view.asking is not None:
        groups = ", ".join(view.asking.groups) or "nobody"
        have = f"; {', '.join(map(clean, view.decided))} did" if view.decided else ""
        yield f"  {view.asking.people} of {groups} must approve{have}"


def _lines(diff: str) -> Sequence[str]:
    return clean_lines(diff, DIFF).rstrip("\n").split("\n")


def _coloured(line: str, *, colour: bool) -> str:
    start = _COLOURS.get(line[:1]) if colour else None
    return f"{start}{line}{_PLAIN}" if start else line
