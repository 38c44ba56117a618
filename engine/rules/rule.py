"""Rule: a checked, compiled rule as the evaluator takes it. Durations are microseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.rules.cel import Program


@dataclass(frozen=True)
class Selector:
    """One entry of `on`: prefilter by type and lists of globs; an empty list passes all.

    `labels` is a Kubernetes label selector. `exclude` holds the same list fields.
    """

    type: str
    kinds: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    labels: str = ""
    exclude: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """`fn`: count, distinct, increase, sum, avg, min, max, last; `of` and `where` are CEL."""

    name: str
    fn: str
    of: Program | None = None
    where: Program | None = None
    count_initial: bool = False


@dataclass(frozen=True)
class Inhibitor:
    """Held back while `rule` fires for the same values of the labels `equal`."""

    rule: str
    equal: tuple[str, ...]


@dataclass(frozen=True)
class MissionOrder:
    """What to launch: params are Jinja texts (or plain values), rendered at the launch."""

    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Notice:
    """Whom to tell, and of what: fire, resolve, result (see engine.model.delivery.Change)."""

    sink: str
    on: tuple[str, ...] = ("fire", "resolve", "result")


@dataclass(frozen=True)
class Rule:
    """One rule. `hash` covers (on, when, by, over, measure, having): the identity of state."""

    name: str
    on: tuple[Selector, ...]
    by: tuple[str, ...]
    hash: str
    group: str = ""
    path: str = ""
    line: int = 0
    enabled: bool = True
    when: Program | None = None
    over_us: int = 0
    measures: tuple[Measure, ...] = ()
    having: Program | None = None
    for_us: int = 0
    keep_firing_for_us: int = 0
    clear: Program | None = None
    cooldown_us: int = 0
    settle_us: int = 30_000_000
    stale_after_us: int = 300_000_000
    max_keys: int = 10_000
    inhibited_by: tuple[Inhibitor, ...] = ()
    mission: MissionOrder | None = None
    notify: tuple[Notice, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    tests: tuple[Mapping[str, Any], ...] = ()
    tests_lines: tuple[int, ...] = ()
    """Line of each of `tests`."""
    by_default: Mapping[str, str] = field(default_factory=dict)
    """Path of `by` -> its value where a signal has none."""


@dataclass(frozen=True)
class RuleSet:
    """Rules in order of name, and the sha256 of the files they came from."""

    rules: tuple[Rule, ...] = ()
    digest: str = ""
