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
    """One aggregate of a window; `fn` is one of grammar.FUNCTIONS; `of` and `where` are CEL.

    `latest`: of each series only its latest sample in the window is taken.
    """

    name: str
    fn: str
    of: Program | None = None
    where: Program | None = None
    count_initial: bool = False
    latest: bool = False


@dataclass(frozen=True)
class Inhibitor:
    """Held back while `rule` fires for the same values of the labels `equal`."""

    rule: str
    equal: tuple[str, ...]


@dataclass(frozen=True)
class Absent:
    """Silence of known keys. `expect`: "seen" (by this rule), or "inventory" (objects exist).

    A key fires once nothing came for `within_us`; `after_us` is how long it must be known before
    its silence counts.
    """

    expect: str
    within_us: int
    after_us: int = 0


@dataclass(frozen=True)
class SequenceStep:
    """One step: what it takes, and its own paths of the group key (empty: those of the rule).

    `negated` (`not: true`) is for the last step only: it fires when the step did not come.
    """

    id: str
    on: tuple[Selector, ...]
    when: Program | None = None
    negated: bool = False
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sequence:
    """Steps of one key that come within `within_us` of the first one taken."""

    steps: tuple[SequenceStep, ...]
    within_us: int
    ordered: bool = True
    overlap: bool = False


@dataclass(frozen=True)
class Correlate:
    """Open firings of other rules that agree in the labels `on`.

    Each rule of `all` has one, one of `any` has (if there are any), and none of `none`.
    `within_us` is how far apart these opened at most, 0: any time; `ordered`: those of `all` in
    their order, then that of `any`.
    """

    on: tuple[str, ...]
    all: tuple[str, ...] = ()
    any: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    within_us: int = 0
    ordered: bool = False

    @property
    def members(self) -> tuple[str, ...]:
        """The rules whose firings come together."""
        return self.all + self.any


@dataclass(frozen=True)
class Schedule:
    """When the rule is looked at: cron fields in `timezone`.

    Each instant is put off by less than `jitter_us`, always the same for one rule and instant.
    `catch_up`: none, last or all of those that were missed.
    """

    cron: str
    timezone: str = "UTC"
    jitter_us: int = 0
    catch_up: str = "none"


@dataclass(frozen=True)
class Interval:
    """A named time interval: all that is given must hold; what is empty always does.

    `times` are minutes of the day [start, end); the other ranges hold both ends: weekdays
    (Monday is 0), days of the month (-1 is the last one), months, years.
    """

    name: str
    timezone: str = "UTC"
    times: tuple[tuple[int, int], ...] = ()
    weekdays: tuple[tuple[int, int], ...] = ()
    days_of_month: tuple[tuple[int, int], ...] = ()
    months: tuple[tuple[int, int], ...] = ()
    years: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class MissionOrder:
    """What to launch: params are Jinja texts (or plain values), rendered at the launch.

    Attributes:
        kind, params: of the mission.
        mode: report, plan or apply; `approval`: person or policy.
        targets: as written: clusters, groups, labels, all, exclude; empty: that of the firing.
        dedup_key: Jinja text; launches of the rule that agree in it are one within the cooldown.
        advise: off, explain or rank.
    """

    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)
    mode: str = "report"
    approval: str = "person"
    targets: Mapping[str, Any] = field(default_factory=dict)
    dedup_key: str = ""
    advise: str = "off"


@dataclass(frozen=True)
class Notice:
    """Whom to tell, and of what: fire, resolve, approval, result (engine.model.delivery.Occasion).

    Firings that agree in the labels and keys `group_by` share a message; empty: each has its own.
    """

    sink: str
    on: tuple[str, ...] = ("fire", "resolve", "approval", "result")
    group_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """One rule, with one core: when (maybe with a window), absent, sequence, correlate, schedule.

    `hash` is the identity of its state: it covers (on, when, by, over, measure, having, sequence,
    absent, correlate). `over_us` is the length of the window; of a session window the longest one.
    """

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
    window: str = "sliding"
    """sliding, tumbling or session."""
    gap_us: int = 0
    """Silence that ends a session window."""
    measures: tuple[Measure, ...] = ()
    having: Program | None = None
    for_us: int = 0
    keep_firing_for_us: int = 0
    clear: Program | None = None
    cooldown_us: int = 0
    settle_us: int = 30_000_000
    stale_after_us: int = 300_000_000
    max_keys: int = 10_000
    absent: Absent | None = None
    sequence: Sequence | None = None
    correlate: Correlate | None = None
    schedule: Schedule | None = None
    reevaluate_us: int = 0
    on_nodata: str = "keep"
    """keep, resolve or fire: what a key does when no signal came for `stale_after_us`."""
    mode: str = "live"
    """live, or shadow: evaluated and recorded, launches and tells nothing."""
    debounce_us: int = 0
    repeat_us: int = 0
    max_per_hour: int = 0
    """Missions in an hour of one cluster; 0: no limit."""
    mute_during: tuple[Interval, ...] = ()
    ignore_self: bool = True
    """What dogwatch itself made or changed is not looked at."""
    inhibited_by: tuple[Inhibitor, ...] = ()
    mission: MissionOrder | None = None
    notify: tuple[Notice, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    tests: tuple[Mapping[str, Any], ...] = ()
    tests_lines: tuple[int, ...] = ()
    """Line of each of `tests`."""
    tests_paths: tuple[str, ...] = ()
    """File of each of `tests`: that of the rule, or a `*.test.yaml`."""
    by_default: Mapping[str, str] = field(default_factory=dict)
    """Path of `by` -> its value where a signal has none."""


@dataclass(frozen=True)
class RuleSet:
    """Rules in order of name, and the sha256 of the files they came from."""

    rules: tuple[Rule, ...] = ()
    digest: str = ""
