"""The grammar of rule files as a table; the loader and the JSON schema are both made from it."""

from collections.abc import Mapping
from typing import Final

from engine.rules.grammar_actions import INHIBITOR, INTERVAL, MISSION, NOTICE
from engine.rules.grammar_triggers import (
    ABSENT,
    CORRELATE,
    GROUP_KEY,
    MEASURE,
    SCHEDULE,
    SELECTORS,
    SEQUENCE,
    WINDOW,
)
from engine.rules.grammar_words import (
    ANY_TEXT,
    IDENTIFIER,
    IDENTIFIER_HINT,
    INSTANT,
    INSTANTS,
    LABELS,
    PARAMS,
    SLUG,
    TEST_SIGNAL_TYPE,
)
from engine.rules.shapes import (
    Anything,
    Duration,
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
MODES: Final = ("live", "shadow")

_TEST_SIGNAL: Final = Record(
    "test signal",
    {
        "at": Field(INSTANTS, "Instant `90s`, or series `0s..9m/90s`.", required=True),
        "type": Field(TEST_SIGNAL_TYPE, "Type of the signals.", required=True),
        "id": Field(ANY_TEXT, "Id; given when left out."),
        "source": Field(ANY_TEXT, "Source of the CloudEvent."),
        "subject": Field(ANY_TEXT, "Subject of the CloudEvent."),
        "cluster": Field(ANY_TEXT, "Cluster."),
        "data": Field(Table(Anything()), "The observation; `0+1` counts up along a series."),
    },
)
_EXPECTATION: Final = Record(
    "expectation",
    {
        "at": Field(INSTANT, "Instant at which the state is looked at.", required=True),
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
_TEST_FIELDS: Final[Mapping[str, Field]] = {
    "name": Field(ANY_TEXT, "What is promised.", required=True),
    "signals": Field(Items(_TEST_SIGNAL), "What is seen.", required=True),
    "expect": Field(Items(_EXPECTATION), "What follows.", required=True),
    "until": Field(INSTANT, "How far stream time goes on."),
    "silent": Field(Flag(), "True: nothing fires, from first to last."),
}
TEST: Final = Record("test", _TEST_FIELDS)

SHARED: Final[Mapping[str, Field]] = {
    "enabled": Field(Flag(), "False: the rule is checked, but not evaluated."),
    "mode": Field(
        Text(choices=MODES, noun="mode"),
        "live: it acts; shadow: it is evaluated and recorded, but launches and tells nothing.",
    ),
    "for": Field(Duration(), "How long it must hold before it fires."),
    "keep_firing_for": Field(Duration(), "How long it goes on firing when it no longer holds."),
    "cooldown": Field(Duration(), "Least time between two missions of one key."),
    "debounce": Field(
        Duration(), "Mission and notice wait until nothing came for so long, ten times at most."
    ),
    "repeat": Field(Duration(), "A reminder every so often while it fires."),
    "max_per_hour": Field(
        Whole(0, 1_000_000), "Missions in an hour of one cluster; 0, the default: no limit."
    ),
    "mute_during": Field(
        Items(SLUG), "Names of intervals (spec.intervals of any file) in which it does not act."
    ),
    "ignore_self": Field(
        Flag(), "False: signals of what dogwatch itself made count too; true by default."
    ),
    "settle": Field(Duration(), "How long a mission waits for an inhibitor; 30s by default."),
    "stale_after": Field(Duration(zero=False), "When a silent occurrence ends; 5m by default."),
    "max_keys": Field(Whole(1, 1_000_000), "Keys in memory; 10000 by default."),
    "inhibited_by": Field(Items(INHIBITOR), "Rules that hold this one back."),
    "mission": Field(MISSION, "What is launched."),
    "notify": Field(Items(NOTICE), "Who is told; without it the routes of the configuration say."),
    "labels": Field(LABELS, "severity, team, app ..."),
    "annotations": Field(LABELS, "summary, description, runbook_url; texts are templates."),
    "params": Field(PARAMS, "Values that expressions and templates see as params.NAME."),
}

RULE: Final = Record(
    "rule",
    {
        "name": Field(SLUG, "Unique over all files.", required=True),
        "on": Field(SELECTORS, "Which signals it sees; a schedule alone needs none."),
        "when": Field(Expression(), "CEL over signal, old, now and params: is it true?"),
        "by": Field(
            Items(GROUP_KEY, least=1), "Group key; cluster is one of them in the first stage."
        ),
        "over": Field(WINDOW, "Window in which measures are taken."),
        "measure": Field(
            Table(MEASURE, IDENTIFIER, IDENTIFIER_HINT), "Aggregates by name, seen as m.NAME."
        ),
        "having": Field(Expression(), "CEL over m: is it true?"),
        "clear": Field(Expression(), "CEL: once firing, it fires until this is true."),
        "absent": Field(ABSENT, "Core: known keys that are silent."),
        "sequence": Field(SEQUENCE, "Core: signals one after the other."),
        "correlate": Field(CORRELATE, "Core: open firings of other rules that come together."),
        "schedule": Field(SCHEDULE, "Core: at these times; with 'when' it looks at them only."),
        "reevaluate": Field(
            Duration(zero=False), "Ask again every so often although nothing came: `now` moves."
        ),
        "on_nodata": Field(
            Text(choices=("keep", "resolve", "fire")),
            "What a key does when nothing came for stale_after; keep by default.",
        ),
        **SHARED,
        "tests": Field(Items(TEST), "What the rule promises."),
    },
    later={
        "advise": "missions do without a model; leave it out",
    },
    titled=True,
)

_HEAD: Final[Mapping[str, Field]] = {
    "apiVersion": Field(Text(choices=(API_VERSION,)), "Version of the language.", required=True),
}
GROUP: Final = Record(
    "file",
    {
        **_HEAD,
        "kind": Field(
            Text(
                choices=("RuleGroup",),
                noun="kind",
                advice="; tests of their own stand in a file *.test.yaml",
            ),
            "What the document is.",
            required=True,
        ),
        "metadata": Field(
            Record(
                "metadata",
                {
                    "name": Field(SLUG, "Name of the group.", required=True),
                    "owner": Field(ANY_TEXT, "Who answers for the rules: a label of each."),
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
                    "intervals": Field(
                        Table(INTERVAL, SLUG.pattern, SLUG.hint, title="interval"),
                        "Time intervals by name, for mute_during of any file.",
                    ),
                    "rules": Field(Items(RULE, least=1), "The rules."),
                },
            ),
            "Defaults, intervals and rules.",
            required=True,
        ),
    },
)
TESTS: Final = Record(
    "test file",
    {
        **_HEAD,
        "kind": Field(
            Text(
                choices=("RuleTests",), noun="kind", advice="; rules stand in a file without .test"
            ),
            "What the document is.",
            required=True,
        ),
        "metadata": Field(
            Record("metadata", {"name": Field(SLUG, "Name of the tests.")}),
            "May be left out.",
        ),
        "spec": Field(
            Record(
                "spec",
                {
                    "tests": Field(
                        Items(
                            Record(
                                "test",
                                {
                                    "rule": Field(
                                        SLUG, "Name of the rule of which it is one.", required=True
                                    ),
                                    **_TEST_FIELDS,
                                },
                            ),
                            least=1,
                        ),
                        "The tests.",
                        required=True,
                    )
                },
            ),
            "The tests.",
            required=True,
        ),
    },
)
"""A document of a file *.test.yaml."""
