"""The part of the grammar that says when a rule is true: streams, windows and the cores."""

from collections.abc import Mapping
from typing import Final

from engine.rules.grammar_words import (
    ANY_TEXT,
    GLOBS,
    LABEL,
    LABEL_HINT,
    NAME,
    PATH,
    SIGNAL_TYPE,
    SLUG,
)
from engine.rules.shapes import Duration, Either, Expression, Field, Flag, Items, Record, Text

FUNCTIONS: Final = (
    "count",
    "distinct",
    "sum",
    "avg",
    "min",
    "max",
    "last",
    "rate",
    "increase",
    "delta",
    "changes",
    "p50",
    "p75",
    "p90",
    "p95",
    "p99",
    "slope",
    "stddev",
)
WINDOWS: Final = ("sliding", "tumbling", "session")

_LISTS: Final[Mapping[str, Field]] = {
    "kinds": Field(GLOBS, "Kinds of objects, for example [Pod]; globs are allowed."),
    "reasons": Field(GLOBS, "Reasons of events, for example [FailedScheduling]."),
    "metrics": Field(GLOBS, "Names of metrics."),
    "clusters": Field(GLOBS, "Names of clusters."),
    "namespaces": Field(GLOBS, "Namespaces."),
}

SELECTOR: Final = Record(
    "selector",
    {
        "type": Field(SIGNAL_TYPE, "Type of the signals.", required=True),
        **_LISTS,
        "labels": Field(ANY_TEXT, "Label selector as in Kubernetes, for example app=web,!canary."),
        "exclude": Field(Record("exclude", _LISTS), "What to leave out, by the same lists."),
    },
)
SELECTORS: Final = Items(SELECTOR, least=1)

GROUP_KEY: Final = Either(
    PATH,
    Record(
        "group key",
        {
            "path": Field(PATH, "Where the value of the key is.", required=True),
            "default": Field(ANY_TEXT, "Value where a signal has none.", required=True),
        },
    ),
)

WINDOW: Final = Either(
    Duration(zero=False),
    Record(
        "window",
        {
            "type": Field(
                Text(choices=WINDOWS, noun="kind of window"),
                "sliding (the default): the last `size`; tumbling: one `size` after the other; "
                "session: while signals come at most `gap` apart.",
            ),
            "size": Field(Duration(zero=False), "Length of a sliding or tumbling window."),
            "gap": Field(Duration(zero=False), "Silence that ends a session."),
            "max": Field(Duration(zero=False), "Longest session; mandatory for one."),
        },
    ),
)

MEASURE: Final = Record(
    "measure",
    {
        "fn": Field(
            Text(choices=FUNCTIONS, noun="aggregate"), "Aggregate over the window.", required=True
        ),
        "of": Field(Expression(), "CEL: the value that is aggregated."),
        "where": Field(Expression(), "CEL: which signals count."),
        "count_initial": Field(Flag(), "The very first sample of a counter is an increase too."),
        "latest": Field(
            Flag(),
            "Of each object or series only its latest signal in the window is taken; `where` "
            "is asked of that one.",
        ),
    },
)

ABSENT: Final = Record(
    "absence",
    {
        "expect": Field(
            Text(choices=("inventory", "seen")),
            "Which keys are known: those seen once by this rule, or those of objects that exist.",
            required=True,
        ),
        "within": Field(
            Duration(zero=False), "Silence of this length makes a key fire.", required=True
        ),
        "after": Field(Duration(), "How long a key must be known before its silence counts."),
    },
)

STEP: Final = Record(
    "step",
    {
        "id": Field(NAME, "Name of the step.", required=True),
        "on": Field(SELECTORS, "Which signals the step takes; without it those of the rule."),
        "when": Field(Expression(), "CEL over signal, old, now and params: is it this step?"),
        "not": Field(Flag(), "Last step only: it fires when this did not come within the time."),
        "by": Field(
            Items(PATH, least=1),
            "Where this step's signals have the group key; as many as 'by' of the rule.",
        ),
    },
)
SEQUENCE: Final = Record(
    "sequence",
    {
        "steps": Field(Items(STEP, least=2, most=16), "Two steps or more.", required=True),
        "within": Field(Duration(zero=False), "From the first step to the last.", required=True),
        "ordered": Field(Flag(), "False: the steps may come in any order; true by default."),
        "overlap": Field(Flag(), "True: a signal may serve several sequences at once."),
    },
)

_RULES: Final = Items(SLUG, least=1, most=16)
CORRELATE: Final = Record(
    "correlation",
    {
        "all": Field(_RULES, "Rules of which each must have an open firing."),
        "any": Field(_RULES, "Rules of which one at least must have an open firing."),
        "none": Field(_RULES, "Rules that must have none."),
        "on": Field(
            Items(Text(LABEL, LABEL_HINT), least=1, most=16),
            "Labels in which the firings agree: parts of their keys, node, cluster, or labels of "
            "their rules. They are the group key.",
            required=True,
        ),
        "within": Field(Duration(zero=False), "How far apart they opened at most."),
        "ordered": Field(Flag(), "True: they opened in the order of 'all', then 'any'."),
    },
)

SCHEDULE: Final = Record(
    "schedule",
    {
        "cron": Field(
            ANY_TEXT,
            "Minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, "
            "@monthly, @yearly.",
            required=True,
        ),
        "timezone": Field(ANY_TEXT, "Time zone such as Europe/Berlin; UTC by default."),
        "jitter": Field(Duration(), "Each instant is put off by less than this."),
        "catch_up": Field(
            Text(choices=("none", "last", "all")),
            "Which of the missed instants are made up for; none by default.",
        ),
    },
)
