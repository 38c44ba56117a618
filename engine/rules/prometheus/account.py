"""What became of the rules of a Prometheus file, as text and as JSON."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from engine.rules.prometheus.convert import Import, Outcome, Status

_HEADS = {
    Status.NEARLY: "translated, but the meaning differs",
    Status.REFUSED: "not translated",
}


def to_text(found: Import) -> str:
    """Return the account for a person: what differs, what was refused and why, then a sum."""
    lines = [line for status in _HEADS for line in _section(found, status)]
    counts = Counter(one.status for one in found.outcomes)
    told = [f"{counts[status]} {_word(status)}" for status in Status if counts[status]]
    total = len(found.outcomes)
    return "\n".join([*lines, f"{total} rules: {', '.join(told) or 'none to translate'}"])


def to_json(found: Import) -> str:
    """Return the account and the rules themselves as JSON, in ASCII."""
    outcomes: list[dict[str, Any]] = [asdict(one) for one in found.outcomes]
    return json.dumps({"outcomes": outcomes, "rules": found.text}, indent=2, sort_keys=True)


def complete(found: Import) -> bool:
    """Whether every rule was translated, exactly or nearly."""
    return all(one.status is not Status.REFUSED for one in found.outcomes)


def _section(found: Import, status: Status) -> Iterator[str]:
    concerned = [one for one in found.outcomes if one.status is status]
    if concerned:
        yield f"{_HEADS[status]}:"
    for one in concerned:
        yield f"  {one.path}:{one.line}  {one.name} (group {one.group})"
        yield from (f"      {line}" for line in _reasons(one))
    if concerned:
        yield ""


def _reasons(one: Outcome) -> Iterator[str]:
    if one.status is Status.NEARLY:
        yield from one.differences
        return
    yield f"{one.part}"
    yield f"  {one.why}"
    if one.way_out:
        yield f"  way out: {one.way_out}"


def _word(status: Status) -> str:
    return {Status.NEARLY: "nearly translated", Status.REFUSED: "not translated"}.get(
        status, status.value
    )
