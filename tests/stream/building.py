"""Builders of rules and signals for the tests of the evaluator."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any

from engine.model.firing import Launch, Step, Transition
from engine.model.ids import digest
from engine.model.instant import MICROS, from_us, parse_duration
from engine.model.signal import HEARTBEAT, Signal
from engine.rules.cel import compile as cel
from engine.rules.rule import Inhibitor, Measure, MissionOrder, Rule, RuleSet, Selector
from engine.stream.evaluator import Evaluator

T0 = 1_767_225_600 * MICROS
_IDS = count()
DURATIONS = (
    "for",
    "keep_firing_for",
    "cooldown",
    "settle",
    "stale_after",
    "over",
    "gap",
    "reevaluate",
    "debounce",
    "repeat",
)


def us(seconds: float) -> int:
    """Return the instant `seconds` after the start."""
    return T0 + round(seconds * MICROS)


def when(seconds: float) -> datetime:
    return from_us(us(seconds))


def a_measure(
    fn: str, of: str = "", where: str = "", *, initial: bool = False, latest: bool = False
) -> Measure:
    taken, asked = (cel(text) if text else None for text in (of, where))
    return Measure("n", fn, taken, asked, initial, latest)


def a_rule(name: str = "r", on: str = "k8s.object", **fields: Any) -> Rule:
    """Return a rule from texts: durations as `5m`, expressions as CEL, `measure` named n."""
    made: dict[str, Any] = {}
    for field in DURATIONS:
        if field in fields:
            made[f"{field}_us"] = parse_duration(fields.pop(field))
    for field in ("when", "having", "clear"):
        if field in fields:
            made[field] = cel(fields.pop(field))
    if "measure" in fields:
        measure = fields.pop("measure")
        made["measures"] = measure if isinstance(measure, tuple) else (measure,)
    if "mission" in fields:
        order = fields.pop("mission")
        whole = isinstance(order, MissionOrder)
        made["mission"] = order if whole else MissionOrder("incident-response", order)
    if "inhibited_by" in fields:
        made["inhibited_by"] = tuple(Inhibitor(*one) for one in fields.pop("inhibited_by"))
    selectors = fields.pop("selectors", (Selector(on),))
    by = fields.pop("by", ("cluster", "namespace", "workload"))
    text = [name, on, by, *(getattr(made.get(part), "source", "") for part in ("when", "having"))]
    text += [made.get("over_us"), [str(one.fn) for one in made.get("measures", ())]]
    identity = fields.pop("hash", digest(text))
    return Rule(name=name, on=selectors, by=by, hash=identity, **made, **fields)


def a_set(*rules: Rule) -> RuleSet:
    return RuleSet(
        tuple(sorted(rules, key=lambda rule: rule.name)), digest([r.hash for r in rules])
    )


def a_pod(at: float, name: str = "web-1", *, workload: str = "web", **data: Any) -> Signal:
    """Return an object signal; `change` is modified unless it is given."""
    cluster = data.pop("cluster", "c1")
    body = {
        "kind": "Pod",
        "namespace": "shop",
        "name": name,
        "uid": f"uid-{name}",
        "workload": workload,
        "node": "n1",
        "change": "modified",
        **data,
    }
    return a_signal(at, "k8s.object", body, cluster=cluster)


def an_event(at: float, uid: str = "e1", count: int = 1, **data: Any) -> Signal:
    body = {
        "kind": "Pod",
        "namespace": "shop",
        "name": "web-1",
        "workload": "web",
        "reason": "BackOff",
        "count": count,
        "uid": uid,
        **data,
    }
    return a_signal(at, "k8s.event", body, identity=f"{uid}:{count}")


def a_metric(at: float, value: float, **labels: str) -> Signal:
    data = {"metric": "m", "namespace": "shop", "workload": "web", "labels": labels, "value": value}
    return a_signal(at, "metric", data)


def an_alert(at: float, **data: Any) -> Signal:
    return a_signal(at, "alert", {"namespace": "shop", "workload": "web", **data})


def a_beat(at: float, *, source: str = "watchers/objects/c1", cluster: str = "c1") -> Signal:
    return a_signal(at, HEARTBEAT, {}, source=source, cluster=cluster)


def a_signal(
    at: float,
    kind: str,
    data: Mapping[str, Any],
    *,
    source: str = "watchers/objects/c1",
    cluster: str = "c1",
    identity: str = "",
) -> Signal:
    return Signal(
        id=identity or f"s{next(_IDS)}",
        source=source,
        type=kind,
        time=when(at),
        cluster=cluster,
        data=dict(data),
    )


class Run:
    """Folds signals, each as a record of its own, and keeps all that was found."""

    def __init__(self, *rules: Rule) -> None:
        self.evaluator = Evaluator(a_set(*rules))
        self.transitions: list[Transition] = []
        self.launches: list[Launch] = []
        self.notices: list[Transition] = []

    def see(self, *signals: Signal) -> "Run":
        for signal in signals:
            self.take(self.evaluator.step([signal]))
        return self

    def to(self, seconds: float) -> "Run":
        return self.take(self.evaluator.advance(us(seconds)))

    def swap(self, *rules: Rule) -> "Run":
        return self.take(self.evaluator.swap(a_set(*rules)))

    def take(self, step: Step) -> "Run":
        self.transitions += step.transitions
        self.launches += step.launches
        self.notices += step.notices
        return self

    @property
    def moves(self) -> list[tuple[float, str]]:
        """(seconds, state) of every transition, in order of time."""
        return [(seconds(one.at), one.state.value) for one in in_order(self.transitions)]

    @property
    def launched(self) -> list[float]:
        return sorted(seconds(one.at) for one in self.launches)

    @property
    def told(self) -> list[tuple[float, str, str]]:
        """(seconds, state, reason) of every notice, in order."""
        return [(seconds(one.at), one.state.value, one.reason) for one in self.notices]

    @property
    def held_back(self) -> list[tuple[float, str]]:
        """(seconds, reason) of every mission that was held back."""
        found = (one for one in self.transitions if one.state == "suppressed")
        return [(seconds(one.at), one.reason) for one in found]

    def count(self, name: str) -> int:
        return self.evaluator.counters().get(name, 0)


def seconds(at: int) -> float:
    return (at - T0) / MICROS


def in_order(found: Iterable[Transition]) -> list[Transition]:
    return sorted(found, key=lambda one: (one.at, one.rule, sorted(one.key.items())))


def run(rule: Rule, signals: Sequence[Signal], to: float) -> list[tuple[float, str]]:
    """Return the moves of `rule` over `signals`, with time let on to `to`."""
    return Run(rule).see(*signals).to(to).moves
