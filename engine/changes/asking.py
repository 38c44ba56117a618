"""Asking: whom to tell that a change waits for a decision, or how it ended. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from engine.changes.policy import Needed
from engine.changes.record import applied
from engine.model.change import Change, Risk
from engine.model.change_row import ChangeRow, Verdict
from engine.model.change_state import ChangeState
from engine.model.delivery import Ask, Delivery, Occasion
from engine.model.ids import delivery_key
from engine.model.instant import MICROS, format_duration, from_us, to_us
from engine.report.words import PROBES

OPEN: Final = 5
"""Requests that may be open at one sink before they share a message."""
DIGEST_EVERY: Final = timedelta(minutes=4)
"""A digest is sent at most once in so long, and once more each time the requests doubled."""
SETTLED: Final = timedelta(minutes=1)
"""How long before the digest at the end of a slot a request is there for all to see."""
CONFIRM: Final = (
    "See first that you, and whoever needs it, still get in.",
    "Approving lets it stay. Denying it, or no word until then, rolls it back.",
)
"""What follows where a change that may lock people out was applied."""
SEVERITY: Final[Mapping[Risk, str]] = {
    Risk.SAFE: "info",
    Risk.DISRUPTIVE: "warning",
    Risk.DESTRUCTIVE: "high",
    Risk.LOCKOUT: "high",
}


def asks(  # noqa: PLR0913 - who waits is known by the caller alone
    row: ChangeRow,
    occasion: Occasion,
    now: datetime,
    *,
    url: str,
    needed: Needed,
    waiting: Sequence[ChangeRow] = (),
) -> list[Delivery]:
    """Return what each sink of the change is told; the same call gives the same keys.

    Args:
        row: what waits (approval, reminder), or what ended or was decided (change).
        occasion: approval, reminder or change.
        now: of a reminder the instant at which it fell due: it is part of its key.
        url: where the pages are served, empty where they are not.
        needed: what approving asks for.
        waiting: all changes that wait; more than OPEN of them at one sink share a message.
    """
    if occasion is Occasion.CHANGE:
        which = f"{occasion}@{row.state}"
        return [_told(row, (occasion, which), now, sink) for sink in row.sinks]
    found: list[Delivery] = []
    for sink in row.sinks:
        others = [one for one in waiting if sink in one.sinks and one.id != row.id]
        if len(others) >= OPEN and not _applied(row):
            found.append(digest_of([row, *others], now, sink=sink, url=url, needed=needed))
            continue
        which = f"{occasion}@{to_us(now)}" if occasion is Occasion.REMINDER else occasion.value
        told = _told(row, (occasion, which), now, sink)
        found.append(told.model_copy(update={"ask": ask_of(row, now, url=url, needed=needed)}))
    return found


def asked_again(since: datetime) -> datetime:
    """Return when those who were asked at `since` are asked once more.

    A request whose digest was sent before it came is in the one at this instant, within
    DIGEST_EVERY and SETTLED; for one that had a message of its own the keys are the same.
    """
    slot = DIGEST_EVERY // timedelta(microseconds=1)
    return from_us((to_us(since + SETTLED) // slot + 1) * slot)


def ask_of(row: ChangeRow, now: datetime, *, url: str, needed: Needed) -> Ask:
    """Return the change as those see it who are asked; `now` stands in where it never expires.

    One that was applied already asks whether it may stay, until its verification ends.
    """
    ask = _ask_of(row, now, url=url, needed=needed)
    if row.change is None or not _applied(row):
        return ask
    return ask.model_copy(
        update={
            "confirm": True,
            "then": list(CONFIRM),
            "approved_by": [],
            "needed": 1,
            "typed": "",
            "expires": (row.verify_from or now) + timedelta(seconds=row.change.window_s),
        }
    )


def _applied(row: ChangeRow) -> bool:
    """Whether it was written, and is asked for only that it may stay."""
    return row.state in {ChangeState.APPLYING, ChangeState.VERIFYING}


def _ask_of(row: ChangeRow, now: datetime, *, url: str, needed: Needed) -> Ask:
    draft, change = row.draft, row.change
    return Ask(
        change=row.id,
        digest=row.digest,
        title=draft.title,
        risk=change.risk if change else "",
        reversible=change.reversible if change else "",
        why_reversible=change.why_reversible if change else "",
        target=draft.target,
        lines=change.lines if change else [],
        diff=change.diff if change else "",
        blast=change.blast if change else "",
        why=draft.why,
        evidence=draft.evidence,
        checked=change.preconditions if change else [],
        notes=change.notes if change else [],
        then=list(_then(change)) if change else [],
        groups=list(needed.groups),
        requester=row.requester,
        approved_by=[one.who for one in row.decisions if one.verdict is Verdict.APPROVE],
        needed=needed.people,
        typed=needed.typed,
        expires=row.expires or now,
        url=f"{url.rstrip('/')}/changes/{row.id}" if url else "",
    )


def digest_of(
    rows: Sequence[ChangeRow], now: datetime, *, sink: str, url: str, needed: Needed
) -> Delivery:
    """Return the one message to `sink` about all of `rows`, which wait; at least one.

    Its key is the same within DIGEST_EVERY until the rows have doubled: a storm of requests is
    a few messages, and what comes in between is in the one that `asked_again` is for.
    """
    ordered = sorted(rows, key=lambda row: (row.expires or now, row.created, row.id))
    first = ordered[0]
    slot = to_us(now) // (DIGEST_EVERY // timedelta(microseconds=1))
    which = f"digest@{slot}/{len(rows).bit_length()}"
    ask = ask_of(first, now, url=url, needed=needed).model_copy(
        update={
            "more": [_line(row) for row in ordered[1:]],
            "url": f"{url.rstrip('/')}/approvals" if url else "",
        }
    )
    return Delivery(
        key=delivery_key("approvals", which, sink),
        sink=sink,
        change=Occasion.APPROVAL,
        incident=f"approvals-{now:%Y-%m-%d}",
        rule="",
        group={},
        at=now,
        title=f"{len(rows)} changes wait for a decision",
        severity="warning",
        text="; ".join(_line(row) for row in ordered),
        ask=ask,
    )


def _told(row: ChangeRow, told: tuple[Occasion, str], now: datetime, sink: str) -> Delivery:
    occasion, which = told
    target = row.draft.target
    place = {"cluster": target.cluster, "namespace": target.namespace, "object": target.name}
    lines = row.change.lines if row.change else []
    return Delivery(
        key=delivery_key(row.id, which, sink),
        sink=sink,
        change=occasion,
        incident=row.firing or row.mission,
        rule=row.rule,
        group={name: value for name, value in place.items() if value},
        at=now,
        mission=row.mission,
        title=row.draft.title,
        severity=SEVERITY[row.change.risk] if row.change else "info",
        text=": ".join(filter(None, (row.draft.title, "; ".join(lines)))),
        applied=applied(row) if occasion is Occasion.CHANGE else None,
    )


def _line(row: ChangeRow) -> str:
    target = row.draft.target
    risk = row.change.risk if row.change else "not worked out"
    return f"{row.draft.title} — {target} in {target.cluster}, {risk} ({row.id})"


def _then(change: Change) -> Iterator[str]:
    """Yield what happens once `change` is approved, in sentences."""
    yield "All checks are made once more; if anything would differ from this, nothing is changed."
    waves = sorted({one.wave for one in change.operations})
    if len(waves) > 1:
        first = ", ".join(str(one.target.ref) for one in change.operations if not one.wave)
        yield f"It is done in {len(waves)} waves, {first} first; each is verified before the next."
    checks = ", ".join(dict.fromkeys(PROBES.get(one.name, one.name) for one in change.probes))
    window = format_duration(int(change.window_s * MICROS))
    yield f"It is verified for {window}: {checks}." if checks else "Nothing can verify it."
    if change.rollback:
        yield "If a check fails, it is rolled back by itself, and you are told."
    else:
        yield "It cannot be rolled back: if a check fails, a person has to go on."
