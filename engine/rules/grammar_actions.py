"""The part of the grammar that says what follows: holding back, missions, notices, intervals."""

from typing import Final

from engine.rules.grammar_words import ANY_TEXT, CLOCK_TIME, GLOBS, PARAMS, SLUG
from engine.rules.shapes import Field, Flag, Items, Record, Span, Text

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)

INHIBITOR: Final = Record(
    "inhibitor",
    {
        "rule": Field(SLUG, "Name of the rule that holds this one back.", required=True),
        "equal": Field(GLOBS, "Keys or labels that must be equal in both.", required=True),
    },
)

TARGETS: Final = Record(
    "targets",
    {
        "clusters": Field(GLOBS, "Names of clusters, or globs of them."),
        "groups": Field(GLOBS, "Groups of the configuration; a cluster in one of them will do."),
        "labels": Field(ANY_TEXT, "Label selector over the labels of clusters, as in Kubernetes."),
        "all": Field(Flag(), "Every cluster of the configuration."),
        "exclude": Field(GLOBS, "Names or globs of clusters that are left out."),
    },
)
"""All that is given must hold: clusters of these names, in these groups, with these labels."""

MISSION: Final = Record(
    "mission",
    {
        "kind": Field(SLUG, "Kind of the mission.", required=True),
        "params": Field(PARAMS, "Parameters; texts are templates."),
        "mode": Field(
            Text(choices=("report", "plan", "apply")),
            "What it may do: report what is wrong; plan: also work out and try what would be "
            "changed; apply: also do it, once it is approved.",
        ),
        "approval": Field(
            Text(choices=("person", "policy")),
            "Who approves what it wants to change: always a person, or the policy where that "
            "approves by itself. `mode: apply` needs it.",
        ),
        "targets": Field(
            TARGETS, "Clusters that it looks at, in place of that of the firing; all must hold."
        ),
        "dedup_key": Field(
            ANY_TEXT,
            "Template: missions of the rule in a cluster for which it gives the same text are "
            "one within the cooldown.",
        ),
        "advise": Field(
            Text(choices=("off", "explain", "rank")),
            "What a model may add to the report: nothing, an explanation, an order of options.",
        ),
    },
)

NOTICE: Final = Record(
    "notice",
    {
        "sink": Field(SLUG, "Name of a sink of the configuration.", required=True),
        "on": Field(
            Items(Text(choices=("fire", "resolve", "approval", "result")), least=1),
            "What to tell; approval: a change waits for a decision, and what became of it.",
        ),
        "group_by": Field(
            GLOBS, "Firings that agree in these keys or labels share a message, for example [team]."
        ),
    },
)

_TIMES: Final = Record(
    "time range",
    {
        "start_time": Field(CLOCK_TIME, "From this time of day on.", required=True),
        "end_time": Field(CLOCK_TIME, "Up to this time, which is not in it.", required=True),
    },
)
INTERVAL: Final = Record(
    "interval",
    {
        "times": Field(
            Items(_TIMES, least=1), "Times of day, {start_time: '09:00', end_time: '17:00'}."
        ),
        "weekdays": Field(
            Items(Span("weekday", 0, 6, names=WEEKDAYS, numbers=False), least=1),
            "Days of the week: saturday or monday:friday.",
        ),
        "days_of_month": Field(
            Items(Span("day of the month", 1, 31, negative=True), least=1),
            "Days of the month: 15, 1:5, or from the end, where -1 is the last one.",
        ),
        "months": Field(
            Items(Span("month", 1, 12, names=MONTHS), least=1),
            "Months: december or may:august.",
        ),
        "years": Field(Items(Span("year", 1970, 9999), least=1), "Years: 2026 or 2026:2028."),
        "timezone": Field(ANY_TEXT, "Time zone such as Europe/Berlin; UTC by default."),
    },
)
