"""Whom to tell of what: transitions and results become deliveries. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from engine.model.delivery import Delivery, Occasion
from engine.model.firing import State, Transition
from engine.model.ids import delivery_key
from engine.model.instant import from_us, to_us
from engine.model.mission import MissionRow
from engine.model.report import Report
from engine.model.signal import Signal, view
from engine.report.clean import clean
from engine.rules.rule import Notice, Rule
from engine.rules.template import TemplateError, render

_TOLD = {State.FIRING: Occasion.FIRE, State.RESOLVED: Occasion.RESOLVE}
_REMINDS = "repeat"
"""Reason of a transition that says: it still fires. Who hears of openings hears of it."""


@dataclass(frozen=True)
class Route:
    """Where firings go whose rule names no sink.

    Attributes:
        sinks: names of sinks.
        match: label -> globs; every label named must match one of its globs.
        on: what is told: fire, resolve, approval, result.
    """

    sinks: tuple[str, ...]
    match: Mapping[str, tuple[str, ...]]
    on: tuple[str, ...] = ("fire", "resolve", "approval", "result")

    def takes(self, labels: Mapping[str, str]) -> bool:
        """Whether a firing with `labels` goes this way."""
        return all(
            any(fnmatchcase(labels.get(name, ""), glob) for glob in globs)
            for name, globs in self.match.items()
        )


@dataclass(frozen=True)
class Told:
    """A transition with what is known around it.

    Attributes:
        transition: the move.
        since_us: stream time at which the episode began to fire, None where unknown.
        cause: the signal that decided, None for a timer.
    """

    transition: Transition
    since_us: int | None = None
    cause: Signal | None = None


def notices(rule: Rule, routes: Sequence[Route]) -> tuple[Notice, ...]:
    """Return whom `rule` tells: its own `notify`, or every route that takes its labels."""
    if rule.notify:
        return rule.notify
    merged: dict[str, dict[str, None]] = {}
    for route in routes:
        if route.takes({**rule.labels, "rule": rule.name}):
            for sink in route.sinks:
                merged.setdefault(sink, {}).update(dict.fromkeys(route.on))
    return tuple(Notice(sink, tuple(on)) for sink, on in merged.items())


def tell_transition(rule: Rule, told: Told, routes: Sequence[Route]) -> Iterator[Delivery]:
    """Yield one delivery for each sink that wants to hear of this opening, reminder or end."""
    transition, since_us = told.transition, told.since_us
    wanted = _TOLD.get(transition.state)
    if wanted is None or not transition.firing:
        return
    change, which = wanted, wanted.value
    if transition.reason == _REMINDS:
        change, which = Occasion.REPEAT, f"{Occasion.REPEAT}@{transition.at}"
    wanting = [one for one in notices(rule, routes) if wanted in one.on]
    annotations = _annotations(rule, told) if wanting else {}
    for notice in wanting:
        yield Delivery(
            key=delivery_key(transition.firing, which, notice.sink),
            sink=notice.sink,
            change=change,
            incident=transition.firing,
            rule=rule.name,
            group=dict(transition.key),
            at=from_us(transition.at),
            title=_title(rule, transition),
            severity=rule.labels.get("severity", "info"),
            text=_text(annotations, transition),
            labels=dict(rule.labels),
            annotations=annotations,
            since=from_us(since_us) if since_us is not None else None,
            value=dict(transition.value),
            reason=transition.reason,
            members=list(transition.members),
            member_count=transition.member_count,
            shared=_shared(rule, notice, transition),
        )


def tell_result(
    rule: Rule | None, report: Report, mission: MissionRow, routes: Sequence[Route]
) -> Iterator[Delivery]:
    """Yield one delivery of `report` for each sink that wants results of its rule.

    The report that `mission` has already is the one that this one follows: of an earlier phase,
    or of a run that failed and was resumed.
    """
    if rule is None:
        return
    before = mission.report
    which = "" if before is None else f"@{to_us(before.finished)}"
    for sink in (one.sink for one in notices(rule, routes) if Occasion.RESULT in one.on):
        yield Delivery(
            key=delivery_key(report.run_id, Occasion.RESULT + which, sink),
            sink=sink,
            change=Occasion.RESULT,
            incident=mission.firing,
            rule=rule.name,
            group=dict(mission.key),
            at=report.finished,
            mission=report.run_id,
            title=report.incidents[0].title if report.incidents else report.summary,
            severity=rule.labels.get("severity", "info"),
            text=report.summary,
            labels=dict(rule.labels),
            annotations=dict(rule.annotations),
            report=report,
        )


def _shared(rule: Rule, notice: Notice, transition: Transition) -> dict[str, str]:
    """Return the labels and keys of `group_by` with their values; a missing one is empty."""
    known = {**rule.labels, **transition.key}
    return {name: known.get(name.removeprefix("labels."), "") for name in notice.group_by}


def _title(rule: Rule, transition: Transition) -> str:
    where = ", ".join(value for name, value in transition.key.items() if value)
    return clean(f"{rule.name}: {where}" if where else rule.name)


def _variables(rule: Rule, told: Told) -> dict[str, Any]:
    transition = told.transition
    return {
        "m": transition.value,
        "value": transition.value,
        "key": transition.key,
        "rule": rule.name,
        "firing": transition.firing,
        "labels": rule.labels,
        "params": rule.params,
        "at": from_us(transition.at),
        "members": transition.members,
        "member_count": transition.member_count,
        "state": transition.state.value,
        "reason": transition.reason,
        "signal": view(told.cause) if told.cause else {},
    }


def _annotations(rule: Rule, told: Told) -> dict[str, str]:
    """Render each annotation; one that cannot be rendered stands as it was written."""
    variables = _variables(rule, told)
    rendered = {}
    for name, text in rule.annotations.items():
        try:
            rendered[name] = clean(render(text, variables))
        except TemplateError:
            rendered[name] = text
    return rendered


def _text(annotations: Mapping[str, str], transition: Transition) -> str:
    summary = annotations.get("summary", "")
    shown = ", ".join(f"{name} = {value}" for name, value in transition.value.items())
    return clean(" ".join((summary, f"Measured: {shown}." if shown else "")))
