"""One message for firings that belong together: who fires, who is over."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from engine.model.delivery import Delivery, Episode, Occasion
from engine.report.clean import clean


class Envelope(NamedTuple):
    """What the message itself is: its key, and the incident whose thread it belongs to."""

    key: str
    incident: str


def share(envelope: Envelope, told: Sequence[Delivery], others: Sequence[Delivery]) -> Delivery:
    """Return the one delivery that says what `told` say.

    It is a resolve when none of the firings goes on, an opening when one of them is new, else a
    repeat. A resolve lists all that is over; another message only what it is the first to say.

    Args:
        envelope: key and incident of the message.
        told: deliveries of one rule, sink and group, oldest first; at least one.
        others: what was told last of other firings of the thread: openings and ends.
    """
    episodes = [*_episodes(told), *(_episode(one, fresh=False) for one in others)]
    if not all(one.over for one in episodes):
        episodes = [one for one in episodes if one.fresh or not one.over]
    episodes.sort(key=lambda one: (one.over, not one.fresh, one.since or one.at, one.incident))
    last = told[-1]
    starts = [one.since for one in episodes if one.since is not None]
    return last.model_copy(
        update={
            **envelope._asdict(),
            "change": _change(episodes),
            "group": dict(last.shared),
            "at": max(one.at for one in told),
            "title": _title(last.rule, last.shared),
            "text": "",
            "annotations": _common([one.annotations for one in (*told, *others)]),
            "since": min(starts, default=None),
            "value": {},
            "reason": "",
            "members": [],
            "member_count": 0,
            "episodes": episodes,
        }
    )


def _episodes(told: Iterable[Delivery]) -> list[Episode]:
    """Return what is known last of each firing; it is news unless only a reminder says so."""
    last: dict[str, Delivery] = {}
    fresh: dict[str, bool] = {}
    for one in told:
        last[one.incident] = one
        fresh[one.incident] = fresh.get(one.incident, False) or one.change is not Occasion.REPEAT
    return [_episode(one, fresh=fresh[incident]) for incident, one in last.items()]


def _episode(told: Delivery, *, fresh: bool) -> Episode:
    return Episode(
        incident=told.incident,
        group={name: one for name, one in told.group.items() if name not in told.shared},
        over=told.change is Occasion.RESOLVE,
        fresh=fresh,
        since=told.since,
        at=told.at,
        summary=told.annotations.get("summary", ""),
        value=told.value,
        reason=told.reason,
    )


def _change(episodes: Iterable[Episode]) -> Occasion:
    firing = [one for one in episodes if not one.over]
    if not firing:
        return Occasion.RESOLVE
    return Occasion.FIRE if any(one.fresh for one in firing) else Occasion.REPEAT


def _title(rule: str, shared: Mapping[str, str]) -> str:
    where = ", ".join(value for value in shared.values() if value)
    return clean(f"{rule}: {where}" if where else rule)


def _common(annotations: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return what all have alike: a runbook, but not the words about one of them."""
    first = annotations[0]
    return {
        name: text
        for name, text in first.items()
        if all(one.get(name) == text for one in annotations)
    }
