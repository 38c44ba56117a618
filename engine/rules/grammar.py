"""The grammar of rule files as a table; the loader and the JSON schema are both made from it."""

from collections.abc import Mapping
from typing import Final

from engine.model.signal import SIGNAL_TYPES
from engine.rules.shapes import (
    Anything,
    Duration,
    Either,
    Expression,
    Field,
    Flag,
    Items,
    Record,
    Table,
    Text,
    Whole,
)

API_VERSION: Final = "dogwatch.dev/v1"
SECOND_STAGE: Final = ("condition", "mission", "cluster", "clock")
FIRST_STAGE: Final = tuple(kind for kind in SIGNAL_TYPES if kind not in SECOND_STAGE)
FUNCTIONS: Final = ("count", "distinct", "increase", "sum", "avg", "min", "max", "last")
_PERCENTILES: Final = ("p50", "p75", "p90", "p95", "p99")

_SLUG = Text(
    r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$",
    "up to 63 lower-case letters, digits, dots and dashes",
)
_IDENTIFIER = r"^[A-Za-z_][A-Za-z0-9_]{0,62}$"
_IDENTIFIER_HINT = "a name of letters, digits and underscores"
_LABEL = r"^[A-Za-z0-9_]([A-Za-z0-9_./-]{0,251}[A-Za-z0-9_])?$"
_LABEL_HINT = "a label name such as team or example.com/team"
_ANY_TEXT = Text(r"^[\s\S]+$", "a text that is not empty")
_GLOBS = Items(_ANY_TEXT, least=1)
_PATH = Text(
    r"^((cluster|namespace|kind|name|workload|node|type|source|subject)|labels\..+"
    r"|signal\.[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)$",
    "cluster, namespace, kind, name, workload, node, type, source, subject, "
    "labels.NAME or a path such as signal.data.reason",
)

_SIGNAL_TYPE = Text(
    choices=FIRST_STAGE,
    later=SECOND_STAGE,
    noun="signal type",
    advice="; outside senders use 'alert'",
)

_LISTS: Mapping[str, Field] = {
    "kinds": Field(_GLOBS, "Kinds of objects, for example [Pod]; globs are allowed."),
    "reasons": Field(_GLOBS, "Reasons of events, for example [FailedScheduling]."),
    "metrics": Field(_GLOBS, "Names of metrics."),
    "clusters": Field(_GLOBS, "Names of clusters."),
    "namespaces": Field(_GLOBS, "Namespaces."),
}

SELECTOR: Final = Record(
    "selector",
    {
        "type": Field(_SIGNAL_TYPE, "Type of the signals.", required=True),
        **_LISTS,
        "labels": Field(_ANY_TEXT, "Label selector as in Kubernetes, for example app=web,!canary."),
        "exclude": Field(Record("exclude", _LISTS), "What to leave out, by the same lists."),
    },
)

GROUP_KEY: Final = Either(
    _PATH,
    Record(
        "group key",
        {
            "path": Field(_PATH, "Where the value of the key is.", required=True),
            "default": Field(_ANY_TEXT, "Value where a signal has none.", required=True),
        },
    ),
)

WINDOW: Final = Either(
    Duration(zero=False),
    Record(
        "window",
        {
            "type": Field(
                Text(choices=("sliding",), later=("tumbling", "session")), "Kind of window."
            ),
            "size": Field(Duration(zero=False), "Length of the window.", required=True),
        },
        later=frozenset({"gap", "max"}),
    ),
)

MEASURE: Final = Record(
    "measure",
    {
        "fn": Field(
            Text(
                choices=FUNCTIONS,
                later=("rate", "delta", "changes", "slope", "stddev", *_PERCENTILES),
            ),
            "Aggregate over the window.",
            required=True,
        ),
        "of": Field(Expression(), "CEL: the value that is aggregated."),
        "where": Field(Expression(), "CEL: which signals count."),
        "count_initial": Field(Flag(), "The very first sample of a counter is an increase too."),
    },
)

INHIBITOR: Final = Record(
    "inhibitor",
    {
        "rule": Field(_SLUG, "Name of the rule that holds this one back.", required=True),
        "equal": Field(_GLOBS, "Keys or labels that must be equal in both.", required=True),
    },
)

MISSION: Final = Record(
    "mission",
    {
        "kind": Field(_SLUG, "Kind of the mission.", required=True),
        "params": Field(
            Table(Anything(), _IDENTIFIER, _IDENTIFIER_HINT), "Parameters; texts are templates."
        ),
        "mode": Field(Text(choices=("report",), later=("plan", "apply")), "What it may do."),
    },
    later=frozenset({"targets", "dedup_key", "approval"}),
)

NOTICE: Final = Record(
    "notice",
    {
        "sink": Field(_SLUG, "Name of a sink of the configuration.", required=True),
        "on": Field(
            Items(Text(choices=("fire", "resolve", "result"), later=("approval",)), least=1),
            "What to tell.",
        ),
    },
    later=frozenset({"group_by"}),
)

_TEST_SIGNAL: Final = Record(
    "test signal",
    {
        "at": Field(_ANY_TEXT, "Instant `90s`, or series `0s..9m/90s`.", required=True),
        "type": Field(_SIGNAL_TYPE, "Type of the signals.", required=True),
        "id": Field(_ANY_TEXT, "Id; given when left out."),
        "source": Field(_ANY_TEXT, "Source of the CloudEvent."),
        "subject": Field(_ANY_TEXT, "Subject of the CloudEvent."),
        "cluster": Field(_ANY_TEXT, "Cluster."),
        "data": Field(Table(Anything()), "The observation; `0+1` counts up along a series."),
    },
)
_EXPECTATION: Final = Record(
    "expectation",
    {
        "at": Field(_ANY_TEXT, "Instant at which the state is looked at.", required=True),
        "key": Field(Table(Anything()), "Group key, or a part of it."),
        "state": Field(
            Text(choices=("inactive", "pending", "firing", "resolved", "suppressed")),
            "State of the key.",
            required=True,
        ),
        "missions": Field(Whole(0, 1_000_000), "Missions launched so far."),
        "value": Field(Table(Anything()), "Measures that such a key has."),
    },
)
TEST: Final = Record(
    "test",
    {
        "name": Field(_ANY_TEXT, "What is promised.", required=True),
        "signals": Field(Items(_TEST_SIGNAL), "What is seen.", required=True),
        "expect": Field(Items(_EXPECTATION), "What follows.", required=True),
        "until": Field(_ANY_TEXT, "How far stream time goes on."),
        "silent": Field(Flag(), "True: nothing fires, from first to last."),
    },
)

_LABELS = Table(_ANY_TEXT, _LABEL, _LABEL_HINT)
_ANNOTATIONS = Table(_ANY_TEXT, _LABEL, _LABEL_HINT)
_PARAMS = Table(Anything(), _IDENTIFIER, _IDENTIFIER_HINT)

SHARED: Final[Mapping[str, Field]] = {
    "enabled": Field(Flag(), "False: the rule is checked, but not evaluated."),
    "for": Field(Duration(), "How long it must hold before it fires."),
    "keep_firing_for": Field(Duration(), "How long it goes on firing when it no longer holds."),
    "cooldown": Field(Duration(), "Least time between two missions of one key."),
    "settle": Field(Duration(), "How long a mission waits for an inhibitor; 30s by default."),
    "stale_after": Field(Duration(zero=False), "When a silent occurrence ends; 5m by default."),
    "max_keys": Field(Whole(1, 1_000_000), "Keys in memory; 10000 by default."),
    "inhibited_by": Field(Items(INHIBITOR), "Rules that hold this one back."),
    "mission": Field(MISSION, "What is launched."),
    "notify": Field(Items(NOTICE), "Who is told; without it the routes of the configuration say."),
    "labels": Field(_LABELS, "severity, team, app ..."),
    "annotations": Field(_ANNOTATIONS, "summary, description, runbook_url; texts are templates."),
    "params": Field(_PARAMS, "Values that expressions and templates see as params.NAME."),
}

RULE: Final = Record(
    "rule",
    {
        "name": Field(_SLUG, "Unique over all files.", required=True),
        "mode": Field(Text(choices=("live",), later=("shadow",)), "Live: it acts."),
        "on": Field(Items(SELECTOR, least=1), "Which signals it sees.", required=True),
        "when": Field(Expression(), "CEL over signal, old, now and params: is it true?"),
        "by": Field(Items(GROUP_KEY, least=1), "Group key; cluster is one of them."),
        "over": Field(WINDOW, "Window in which measures are taken."),
        "measure": Field(
            Table(MEASURE, _IDENTIFIER, _IDENTIFIER_HINT), "Aggregates by name, seen as m.NAME."
        ),
        "having": Field(Expression(), "CEL over m: is it true?"),
        "clear": Field(Expression(), "CEL: once firing, it fires until this is true."),
        "on_nodata": Field(
            Text(choices=("keep",), later=("resolve", "fire")), "What silence does to a key."
        ),
        **SHARED,
        "tests": Field(Items(TEST), "What the rule promises."),
    },
    later=frozenset(
        {
            "absent",
            "advise",
            "correlate",
            "debounce",
            "ignore_self",
            "max_per_hour",
            "mute_during",
            "reevaluate",
            "repeat",
            "schedule",
            "sequence",
        }
    ),
    titled=True,
)

GROUP: Final = Record(
    "file",
    {
        "apiVersion": Field(
            Text(choices=(API_VERSION,)), "Version of the language.", required=True
        ),
        "kind": Field(Text(choices=("RuleGroup",)), "What the document is.", required=True),
        "metadata": Field(
            Record(
                "metadata",
                {
                    "name": Field(_SLUG, "Name of the group.", required=True),
                    "owner": Field(_ANY_TEXT, "Who answers for the rules: a label of each."),
                },
            ),
            "Name and owner.",
            required=True,
        ),
        "spec": Field(
            Record(
                "spec",
                {
                    "defaults": Field(
                        Record("defaults", SHARED), "Fields that each rule inherits."
                    ),
                    "rules": Field(Items(RULE, least=1), "The rules.", required=True),
                },
            ),
            "Defaults and rules.",
            required=True,
        ),
    },
)
