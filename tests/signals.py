"""The page docs/signals.md, made of the signal schema: `python -m tests.signals` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.model.schema import SIGNALS
from engine.model.schema_metrics import METRICS, OWN_CLUSTER
from engine.model.signal import FOLD_ONLY, LEVEL_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from engine.model.field import Field, SignalShape
    from engine.model.schema_metrics import MetricEntry

PAGE = Path(__file__).parent.parent / "docs" / "signals.md"
_HEAD = """\
# Signals

What the data of each signal type holds: watchers fill these fields, and `dogwatch rules check`
holds rules against them. Written by `python -m tests.signals` from `engine/model/schema.py`.

- Every signal is a CloudEvents 1.0 event; `id`, `source`, `type`, `time`, `subject` and
  `cluster` are its attributes, all else is in `data`. Expressions see `signal.data.NAME`, and
  `namespace`, `kind`, `name`, `workload`, `node`, `labels` and `value` as `signal.NAME` too.
- Of a **level** the latest signal decides; what it is known by is its identity. An
  **occurrence** happens and is over; it counts until none came for `stale_after`.
- A field may be missing where its source does not say: then a rule that asks for it does not
  match, and that is counted. Times are texts in RFC 3339: `timestamp(signal.data.notAfter)`.
- _planned_ marks what no watcher sends of itself yet. Rules may ask for it; anybody can send it by
  HTTP, and a query of the watcher `metrics` can fill a metric.
"""


def page() -> str:
    """Return the page as it should be."""
    parts = [_HEAD, _overview()]
    parts += ["\n".join(_type(name, shape)) for name, shape in SIGNALS.items()]
    parts.append("\n".join(_metrics()))
    return "\n".join(parts)


def _overview() -> str:
    rows = [
        ("type", "what one says", "level or occurrence", "who sends it"),
        ("---",) * 4,
        *(
            (f"[`{name}`](#{_anchor(name)})", shape.text, _sort(name), _sender(shape))
            for name, shape in SIGNALS.items()
        ),
    ]
    return _table(rows)


def _type(name: str, shape: SignalShape) -> Iterator[str]:
    yield f"## `{name}`\n"
    identity = f", known by {shape.identity}" if shape.identity else ""
    yield f"{shape.text} {_sort(name).capitalize()}{identity}. Sent by {_sender(shape)}.\n"
    if shape.fields:
        yield _fields(shape.fields)
    for kind, fields in shape.kinds.items():
        if fields:
            yield f"### {name} {kind}\n"
            yield _fields(fields)
    bare = [f"`{kind}`" for kind, fields in shape.kinds.items() if not fields]
    if bare:
        yield f"Without further fields: {', '.join(bare)}.\n"
    if shape.open:
        more = "Kinds that are not listed" if shape.kinds else "Senders"
        yield f"{more} may bring further fields, which rules can ask for unchecked.\n"


def _fields(fields: Mapping[str, Field]) -> str:
    rows = [
        ("field", "type", "unit", "meaning"),
        ("---",) * 4,
        *(
            (
                f"`{name}`",
                field.type,
                field.unit,
                field.text + _planned(field),
            )
            for name, field in fields.items()
        ),
    ]
    return _table(rows)


def _metrics() -> Iterator[str]:
    yield "## Metrics of shipped rules\n"
    yield (
        "Rules may name any metric; these come of themselves or are asked for by shipped rules. "
        f"Those of dogwatch itself have the cluster `{OWN_CLUSTER}`, which no configuration can "
        "name, and a label `process` where several processes share the work.\n"
    )
    rows = [
        ("metric", "labels", "unit", "meaning"),
        ("---",) * 4,
        *(
            (
                f"`{name}`",
                ", ".join(entry.labels),
                entry.unit,
                entry.text + ("; a counter" if entry.counter else "") + _planned(entry),
            )
            for name, entry in METRICS.items()
        ),
    ]
    yield _table(rows)


def _planned(entry: Field | MetricEntry) -> str:
    return " (_planned_)" if entry.planned else ""


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _sort(name: str) -> str:
    if name in FOLD_ONLY:
        return "neither"
    return "level" if name in LEVEL_TYPES else "occurrence"


def _sender(shape: SignalShape) -> str:
    return shape.sender + (" (_planned_)" if shape.planned else "")


def _anchor(name: str) -> str:
    return name.replace(".", "")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
