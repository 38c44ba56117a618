"""Which condition a key of a rule has: that of its core, and the layers round it."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from engine.model.ids import correlation_id, firing_id
from engine.rules.rule import Rule
from engine.stream.absence import Absence
from engine.stream.again import Again, Judge, Ticks
from engine.stream.condition import Condition
from engine.stream.correlation import Correlation
from engine.stream.cron import Instants
from engine.stream.layer import Layer
from engine.stream.members import Members
from engine.stream.nodata import Nodata
from engine.stream.schedule import Schedule
from engine.stream.sequence import Sequence
from engine.stream.spans import Session, Tumbling
from engine.stream.window import Window

DAY_US: Final = 86_400_000_000
EVENT_MEMORY_US: Final = 7_200_000_000


class Means(NamedTuple):
    """What all conditions of a rule share.

    `judge` asks its `when` again, `tally` counts what is passed over, `instants` are those of
    its schedule.
    """

    judge: Judge
    tally: Callable[[str], None]
    instants: Instants | None


def condition_of(rule: Rule, means: Means) -> Condition:
    """Return the empty condition of a new key of `rule`."""
    if rule.sequence is not None:
        return Sequence(rule, rule.sequence, means.tally)
    if rule.absent is not None:
        return Absence(rule, rule.absent)
    if rule.correlate is not None:
        return Correlation()
    made = _window(rule) if rule.over_us else _members(rule, means.judge)
    if means.instants is not None:
        return Schedule(made, means.instants)
    return made if rule.on_nodata == "keep" else Nodata(made, rule)


def episode(rule: Rule, key: Mapping[str, str], condition: Condition, at: int) -> str:
    """Return the id of the firing of `rule` for `key` that begins at `at`, or is made of others."""
    if isinstance(condition, Correlation):
        return correlation_id(rule.name, key, [rule.hash, condition.identity()])
    return firing_id(rule.name, key, at)


def rebound(condition: Condition, rule: Rule, means: Means, mark: int) -> Condition:
    """Return `condition` as it goes on under an edited rule of the same hash, from `mark` on."""
    fresh = condition_of(rule, means)
    if isinstance(condition, Layer | Schedule) or isinstance(fresh, Layer | Schedule):
        fresh.load(condition.dump())
        condition = fresh
    condition.rebind(rule, mark)
    return condition


def asks_time(rule: Rule) -> bool:
    """Whether what the rule asks of a window depends on the instant."""
    programs = (rule.having, rule.clear)
    return any(path[0] == "now" for one in programs if one is not None for path in one.paths)


def _members(rule: Rule, judge: Judge) -> Condition:
    members = Members(rule.stale_after_us, lasting=rule.clear is not None)
    return Again(members, rule.reevaluate_us, judge) if rule.reevaluate_us else members


def _window(rule: Rule) -> Condition:
    kinds = {selector.type for selector in rule.on}
    memory = EVENT_MEMORY_US if kinds == {"k8s.event"} else DAY_US
    forgets = None if "k8s.object" in kinds else memory
    if rule.window == "session":
        window: Window = Session(rule.measures, rule.over_us, forgets, rule.gap_us)
    else:
        kind = Tumbling if rule.window == "tumbling" else Window
        window = kind(rule.measures, rule.over_us, forgets)
    again = rule.reevaluate_us and asks_time(rule)
    return Ticks(window, rule.reevaluate_us) if again else window
