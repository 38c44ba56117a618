"""Orders: what is to be done about a firing at an instant: a mission, a notice, a reminder.

A mission waits `settle` from the firing on, and `debounce` from the last signal that made the
condition true (ten times that at most); then it is launched unless

- a rule of `inhibited_by` fires for equal labels, or an interval of `mute_during` holds: it is
  held back and told as suppressed; when that ends and the firing is still open, it settles anew
  and is looked at again;
- the last mission of the key was launched less than `cooldown` before, or one of the rule in the
  cluster with the same `dedup_key`, or the rule launched `max_per_hour` missions in the cluster
  within an hour, or MAX_DEPTH missions lead to it: it is dropped and told;
- the rule is in shadow mode: it is dropped and counted.

That the firing has ended in the meantime is no reason to drop its mission: it did happen. A
firing on several nodes is inhibited when firing inhibitors cover all of them.

People are told of the opening at once, or when `debounce` and an interval of `mute_during` are
over; an end brings what `debounce` put off with it. What began and ended while the rule was muted
or in shadow mode is not told of; the end of what people know always is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

import msgspec

from engine.model.firing import Launch, Transition
from engine.model.ids import mission_id
from engine.model.instant import from_us
from engine.rules.rule import Rule
from engine.rules.template import TemplateError, render
from engine.stream.reasons import Reason
from engine.stream.sample import Shown

ENDED: Final = "mission/"
"""What the id of a signal begins with that tells of the end of a mission: its id, and which."""
DEBOUNCE_MOST: Final = 10
"""Times `debounce` after the firing that nothing waits beyond."""


class Wish(StrEnum):
    """What an order asks for."""

    LAUNCH = "launch"
    TELL = "tell"
    REMIND = "remind"


class Order(msgspec.Struct, array_like=True):
    """Something to be done about a firing: as it was told, its nodes, and when it is due.

    `held` says what keeps it (inhibited: until that one ends; muted: until it is due; shadow:
    until the rule is live), empty for nothing. `carried`: it is of a firing that an edit of the
    rule cut off.
    """

    told: Transition
    nodes: frozenset[str]
    due: int
    wish: Wish = Wish.LAUNCH
    held: str = ""
    carried: bool = False

    def waits(self) -> bool:
        """Whether it waits for something else than its time."""
        return self.held in {Reason.INHIBITED.value, Reason.SHADOW.value}


class Standing(msgspec.Struct, frozen=True):
    """A firing that is open, as inhibition sees it."""

    rule: Rule
    cluster: str
    key: Mapping[str, str]
    since: int
    nodes: frozenset[str]

    def label(self, name: str) -> frozenset[str]:
        """Return the values of a label: of the key, the nodes, or the rule; empty: unknown."""
        if name in self.key:
            return frozenset({self.key[name]})
        if name == "cluster":
            return frozenset({self.cluster})
        if name == "node":
            return self.nodes
        return frozenset({self.rule.labels[name]} if name in self.rule.labels else ())


def inhibited(mine: Standing, open_: Mapping[str, Iterable[Standing]], at: int) -> bool:
    """Whether a rule of `inhibited_by` holds `mine` back at `at`.

    Args:
        mine: the firing.
        open_: open firings of the cluster by rule.
        at: instant; a firing that began after it does not count.
    """
    return any(
        _covers(mine, one.equal, _until(open_.get(one.rule, ()), at))
        for one in mine.rule.inhibited_by
    )


def names_inhibitor(rule: Rule, inhibitor: str) -> bool:
    """Whether `rule` is held back by the rule named `inhibitor`."""
    return any(one.rule == inhibitor for one in rule.inhibited_by)


def quiet_from(rule: Rule, told: Transition, met: Iterable[int], at: int) -> int:
    """Return when the firing `told` has been quiet for the `debounce` of `rule`.

    Args:
        rule: the rule.
        told: the firing as it was told.
        met: instants of the signals that made the condition true.
        at: instant; later signals do not count.
    """
    last = max((one for one in met if told.at < one <= at), default=told.at)
    return min(last + rule.debounce_us, told.at + DEBOUNCE_MOST * rule.debounce_us)


def reminder(told: Transition, at: int, shown: Shown | None) -> Transition:
    """Return what says at `at` that the firing `told` goes on.

    `shown` is what its condition shows now, None while that is not true.
    """
    now = replace(told, at=at, reason=Reason.REPEAT.value)
    if shown is None:
        return now
    return replace(now, value=shown.value, members=shown.members, member_count=shown.member_count)


def told_of_end(told: Transition, orders: Iterable[Order]) -> list[Transition]:
    """Return what people are told as the firing of `told` ends: nothing, if it was no news.

    An opening that was put off comes before its end.
    """
    waiting = [one for one in orders if one.wish is Wish.TELL and one.told.firing == told.firing]
    if any(one.held for one in waiting):
        return []
    return [*(one.told for one in waiting), told]


def carried(orders: Sequence[Order]) -> list[Order]:
    """Return the missions among `orders` that go although an edit cut their firing off."""
    kept = [one for one in orders if one.wish is Wish.LAUNCH and not one.held]
    return [msgspec.structs.replace(one, carried=True) for one in kept]


def launch(rule: Rule, cluster: str, order: Order, at: int) -> tuple[Launch, int]:
    """Return the launch of `order` at `at`, and how many params could not be rendered.

    Those stand as they were written: a mission with a poor text beats none.

    Raises:
        ValueError: the rule has no mission.
    """
    if rule.mission is None:
        raise ValueError(f"rule {rule.name} has no mission")
    told = order.told
    written = rule.mission
    about = "" if written.targets else cluster or told.key.get("cluster", "")
    faults: list[str] = []
    params = _rendered(dict(written.params), _variables(rule, cluster, told), faults)
    kind, parent = written.kind, parent_of(told.cause)
    found = Launch(
        at=at,
        rule=rule.name,
        key=told.key,
        firing=told.firing,
        mission=mission_id(told.firing, kind, params),
        kind=kind,
        params=params,
        clusters=(about,) if about else (),
        depth=told.depth + 1,
        mode=written.mode,
        # What missions brought about is never changed without a person.
        approval="person" if parent or told.depth > 1 else written.approval,
        targets=written.targets,
        advise=written.advise,
        parent=parent,
    )
    return found, len(faults)


def same_of(rule: Rule, cluster: str, order: Order) -> str:
    """Return the text by which the mission of `order` is one with others, empty for none.

    A template that cannot be rendered stands as it was written.
    """
    if rule.mission is None or not rule.mission.dedup_key:
        return ""
    shown = _rendered(rule.mission.dedup_key, _variables(rule, cluster, order.told), [])
    return shown if isinstance(shown, str) else ""


def parent_of(cause: str) -> str:
    """Return the mission of whose end the signal `cause` tells, empty for any other signal."""
    return cause.removeprefix(ENDED).partition("/")[0] if cause.startswith(ENDED) else ""


def _until(found: Iterable[Standing], at: int) -> Iterator[Standing]:
    return (one for one in found if one.since <= at)


def _covers(mine: Standing, equal: Iterable[str], others: Iterator[Standing]) -> bool:
    names = [name for name in equal if name != "node"]
    by_node = len(names) < len(list(equal))
    covered: set[str] = set()
    for other in others:
        if all(mine.label(name) and mine.label(name) == other.label(name) for name in names):
            if not by_node:
                return True
            covered |= other.label("node")
    nodes = mine.label("node")
    return bool(nodes) and by_node and nodes <= covered


def _variables(rule: Rule, cluster: str, told: Transition) -> dict[str, Any]:
    first = told.members[0] if told.members else ""
    return {
        "m": told.value,
        "value": told.value.get("value"),
        "key": told.key,
        "rule": rule.name,
        "firing": told.firing,
        "signal": {"cluster": cluster, "node": told.node, "name": first, **told.key},
        "labels": rule.labels,
        "params": rule.params,
        "at": from_us(told.at),
        "members": told.members,
        "member_count": told.member_count,
        "state": told.state.value,
        "reason": told.reason,
    }


def _rendered(value: Any, variables: Mapping[str, Any], faults: list[str]) -> Any:
    if isinstance(value, str):
        try:
            return render(value, variables)
        except TemplateError as error:
            faults.append(str(error))
            return value
    if isinstance(value, Mapping):
        return {name: _rendered(one, variables, faults) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rendered(one, variables, faults) for one in value]
    return value
