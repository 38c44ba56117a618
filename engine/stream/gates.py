"""Gates: what a key of a rule has to pass, one by one, each with its input and its verdict."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from engine.model.firing import State, Transition
from engine.model.instant import format_duration, from_us, rfc3339
from engine.model.signal import Signal, view
from engine.rules.cel import EvaluationError, Program
from engine.rules.cel.comparisons import comparisons
from engine.rules.rule import Correlate, MissionOrder, Rule, Selector
from engine.stream.cell import Cell
from engine.stream.condition import Condition
from engine.stream.correlation import Correlation
from engine.stream.evaluator import OpenKey
from engine.stream.gate import Gate, shown_of
from engine.stream.hold import Phase
from engine.stream.measures import described
from engine.stream.orders import Order, Wish
from engine.stream.reasons import explain as sentence

_LISTS: Final = ("kinds", "reasons", "metrics", "clusters", "namespaces")


@dataclass(frozen=True)
class Scene:
    """What is known around a key at one instant.

    Attributes:
        at: stream time in microseconds.
        last: the newest signal of the key that the rule selects; None where it is not known.
        open: keys of all rules that are pending or firing.
        moves: what was told of the key, oldest first.
    """

    at: int
    last: Signal | None = None
    open: Sequence[OpenKey] = ()
    moves: Sequence[Transition] = ()
    counters: Mapping[str, int] = field(default_factory=dict)


def gates(rule: Rule, cell: Cell | None, scene: Scene) -> list[Gate]:
    """Return the gates of one key of `rule`, in the order in which they are passed.

    `cell` is the state of the key, None where nothing of it is remembered.
    """
    found = [*_stream(rule, scene), *_condition(rule, cell, scene)]
    if cell is not None:
        found += [*_times(rule, cell), *_reset(scene), *_limits(rule, cell, scene)]
    return found


def _stream(rule: Rule, scene: Scene) -> Iterator[Gate]:
    if not rule.enabled or rule.mode == "shadow":
        word = "launches and tells nothing" if rule.enabled else "the rule is not evaluated"
        yield Gate("mode", "no", f"{rule.mode if rule.enabled else 'disabled'}: {word}")
    last = "" if scene.last is None else f"; last signal of the key {_at(scene.last.time)}"
    yield Gate("on", "", "; ".join(map(_selector, rule.on)) + last)
    if rule.when is not None:
        yield _when(rule, rule.when, scene.last)


def _when(rule: Rule, program: Program, last: Signal | None) -> Gate:
    if last is None:
        return Gate("when", "", program.source)
    bindings = {"signal": view(last), "now": last.time, "params": rule.params}
    if (old := last.data.get("old")) is not None:
        bindings["old"] = old
    return _asked("when", program, bindings)


def _asked(name: str, program: Program, bindings: Mapping[str, Any]) -> Gate:
    """Return a gate for an expression, with both sides of each comparison in it."""
    sides = tuple(comparisons(program.source, bindings))
    try:
        met = program.evaluate(bindings) is True
    except EvaluationError as error:
        missing = "missing, so it is false" if error.missing else "an error: it decides nothing"
        says = f"{program.source}  ({missing}: {error.message})"
        return Gate(name, "no", says, sides=sides)
    return Gate(name, "yes" if met else "no", program.source, sides=sides)


def _condition(rule: Rule, cell: Cell | None, scene: Scene) -> Iterator[Gate]:
    """Yield what is true of the key: window and measures, members, or what a core waits for."""
    if cell is None:
        yield Gate("state", "no", "nothing is remembered of this key: nothing made it true")
        return
    change = cell.condition.next_change()
    until = "" if change is None else f"; time alone changes it at {rfc3339(change)}"
    filled = "yes" if cell.condition.filled() else "no"
    if rule.over_us:
        yield from _window(rule, cell, scene, until)
    elif rule.correlate is not None:
        yield _correlation(rule.correlate, cell.condition, filled)
    elif rule.absent is not None or rule.sequence is not None:
        name = "absent" if rule.absent is not None else "sequence"
        yield Gate(name, filled, _core(rule) + until)
    else:
        shown = cell.condition.show()
        names = ", ".join(name for name in shown.members if name)
        says = f"{shown.member_count} true" + (f": {names}" if names else "")
        yield Gate("members", filled, says + until)
    if rule.schedule is not None:
        yield Gate("schedule", "", f"{rule.schedule.cron} {rule.schedule.timezone}{until}")


def _window(rule: Rule, cell: Cell, scene: Scene, until: str) -> Iterator[Gate]:
    filled, values = cell.condition.filled(), cell.condition.values()
    content = "samples are in it" if filled else "empty, so the condition is false"
    says = f"{format_duration(rule.over_us)} {rule.window}: {content}{until}"
    yield Gate("over", "yes" if filled else "no", says)
    for one in rule.measures:
        value = values.get(one.name)
        shown = "no value" if value is None else shown_of(value)
        yield Gate(f"m.{one.name}", "", f"{shown}  ({described(one)})", value)
    bindings = {"m": values, "params": rule.params, "now": from_us(scene.at)}
    for name, program in (("having", rule.having), ("clear", rule.clear)):
        if program is not None:
            yield _asked(name, program, bindings)


def _correlation(wanted: Correlate, condition: Condition, filled: str) -> Gate:
    """Return how many firings each rule has open for the key."""
    counts = condition.counts() if isinstance(condition, Correlation) else {}
    lists = {"all": wanted.all, "any": wanted.any, "none": wanted.none}
    told = [
        f"{name} of {', '.join(f'{one} ({counts.get(one, 0)} open)' for one in rules)}"
        for name, rules in lists.items()
        if rules
    ]
    order = " in this order" if wanted.ordered else ""
    within = f" within {format_duration(wanted.within_us)}" if wanted.within_us else ""
    return Gate("correlate", filled, f"{'; '.join(told)} on {', '.join(wanted.on)}{order}{within}")


def _core(rule: Rule) -> str:
    if rule.absent is not None:
        return f"nothing heard for {format_duration(rule.absent.within_us)} would fire"
    steps = ", ".join(one.id for one in rule.sequence.steps) if rule.sequence else ""
    within = rule.sequence.within_us if rule.sequence else 0
    return f"steps {steps} within {format_duration(within)}"


def _times(rule: Rule, cell: Cell) -> Iterator[Gate]:
    """Yield the holds: since when, and until when."""
    held = cell.held
    firing = held.phase is Phase.FIRING
    if rule.for_us:
        length = format_duration(rule.for_us)
        if held.phase is Phase.PENDING:
            due = rfc3339(held.since + rule.for_us)
            yield Gate(
                "for", "waits", f"{length}: true since {rfc3339(held.since)}, fires at {due}"
            )
        elif firing:
            yield Gate("for", "yes", f"{length}: held, fired at {rfc3339(held.since)}")
        else:
            yield Gate("for", "no", f"{length}: runs from the next instant at which it is true")
    if rule.keep_firing_for_us:
        length = format_duration(rule.keep_firing_for_us)
        if held.fell is not None:
            due = rfc3339(held.fell + rule.keep_firing_for_us)
            says = f"{length}: false since {rfc3339(held.fell)}, resolves at {due}"
            yield Gate("keep_firing_for", "waits", says)
        else:
            yield Gate("keep_firing_for", "", f"{length}: runs from the first false")
    if rule.on_nodata != "keep":
        says = f"{rule.on_nodata} after {format_duration(rule.stale_after_us)} without a signal"
        yield Gate("on_nodata", "", says)


def _reset(scene: Scene) -> Iterator[Gate]:
    """Yield when the key last fell back to inactive, and why."""
    ends = [one for one in scene.moves if one.state in {State.INACTIVE, State.RESOLVED}]
    for one in ends[-1:]:
        yield Gate("last reset", "", f"{rfc3339(one.at)}: {sentence(one.reason)}")


def _limits(rule: Rule, cell: Cell, scene: Scene) -> Iterator[Gate]:
    """Yield what may hold a mission or a notice back."""
    orders = [one for one in cell.orders if one.wish is Wish.LAUNCH]
    held = {one.held for one in orders if one.held}
    for one in rule.inhibited_by:
        others = [open_ for open_ in scene.open if open_.rule == one.rule]
        firing = [other for other in others if other.state is State.FIRING]
        keys = "; ".join(_key(other.key) for other in firing) or "does not fire"
        verdict = "holds back" if "inhibited" in held else ""
        says = f"{one.rule} on equal {', '.join(one.equal)}: {keys}"
        yield Gate("inhibited_by", verdict, says)
    if rule.mute_during:
        names = ", ".join(one.name for one in rule.mute_during)
        yield Gate("mute_during", "holds back" if "muted" in held else "", names)
    yield from (_notice(one) for one in cell.orders if one.wish is Wish.TELL)
    yield from _mission(rule, cell, orders)
    for move in scene.moves[-1:]:
        if move.state is State.SUPPRESSED:
            yield Gate("suppressed", "no", f"{rfc3339(move.at)}: {sentence(move.reason)}")


def _notice(order: Order) -> Gate:
    """Return why people are not told of the firing yet."""
    if order.held:
        return Gate("notice", "holds back", sentence(order.held))
    return Gate("notice", "waits", f"people are told at {rfc3339(order.due)}")


def _mission(rule: Rule, cell: Cell, orders: Iterable[Order]) -> Iterator[Gate]:
    if rule.mission is None:
        return
    settle = format_duration(rule.settle_us)
    waiting = next(iter(orders), None)
    if waiting is not None and not waiting.waits():
        says = f"{settle}: the mission is looked at at {rfc3339(waiting.due)}"
        yield Gate("settle", "waits", says)
    else:
        yield Gate("settle", "", f"{settle} after each firing")
    if rule.cooldown_us:
        yield Gate("cooldown", *_cooldown(rule, cell))
    if rule.debounce_us:
        yield Gate("debounce", "", f"{format_duration(rule.debounce_us)} without a true signal")
    if rule.max_per_hour:
        yield Gate("max_per_hour", "", f"{rule.max_per_hour} missions an hour in one cluster")
    yield Gate("mission", "", _ordered(rule.mission))


def _ordered(mission: MissionOrder) -> str:
    """Return what is launched, what it may do, and where."""
    parts = [mission.kind]
    if mission.mode != "report":
        approved = f", approved by {mission.approval}" if mission.mode == "apply" else ""
        parts.append(f"mode {mission.mode}{approved}")
    if mission.targets:
        told = (f"{name} {_listed(value)}" for name, value in mission.targets.items())
        parts.append(f"targets {' '.join(told)}")
    if mission.dedup_key:
        parts.append(f"one for each {mission.dedup_key}")
    if mission.advise != "off":
        parts.append(f"advise {mission.advise}")
    return "; ".join(parts)


def _listed(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value).lower()


def _cooldown(rule: Rule, cell: Cell) -> tuple[str, str]:
    length = format_duration(rule.cooldown_us)
    if cell.launched_at is None:
        return "yes", f"{length}: no mission was launched in this time"
    free = rfc3339(cell.launched_at + rule.cooldown_us)
    return "no", f"{length}: last mission at {rfc3339(cell.launched_at)}, the next from {free} on"


def _selector(one: Selector) -> str:
    lists = [f"{name}={','.join(getattr(one, name))}" for name in _LISTS if getattr(one, name)]
    labels = [f"labels {one.labels}"] if one.labels else []
    left_out = [f"not {name}={','.join(globs)}" for name, globs in one.exclude.items()]
    return " ".join([one.type, *lists, *labels, *left_out])


def _key(key: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in key.items())


def _at(time: Any) -> str:
    return str(time.isoformat().replace("+00:00", "Z"))
