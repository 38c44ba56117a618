"""Every field of the language arrives in the rule as it was meant."""

from dataclasses import replace

import pytest

from engine.rules.load import Loaded, load
from engine.rules.parameters import KindShape
from engine.rules.rule import (
    Absent,
    Interval,
    MissionOrder,
    Notice,
    Rule,
    Schedule,
    Selector,
    Sequence,
    SequenceStep,
)

SECOND = 10**6
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
POD = Selector("k8s.object", kinds=("Pod",))


def document(rules: str, *, spec: str = "") -> str:
    head = "apiVersion: dogwatch.dev/v1\nkind: RuleGroup\nmetadata: {name: g, owner: sre}\nspec:\n"
    return head + spec + "  rules:\n" + rules


def written(*lines: str, on: str = "on: [{type: k8s.object, kinds: [Pod]}]") -> str:
    body = [line for line in ("name: r", on, *lines) if line]
    return "    - " + "\n".join(body).replace("\n", "\n      ") + "\n"


def errors(loaded: Loaded) -> list[str]:
    return [str(fault) for fault in loaded.faults if fault.severity == "error"]


def rule(*lines: str, on: str = "on: [{type: k8s.object, kinds: [Pod]}]", spec: str = "") -> Rule:
    loaded = load({"a.yaml": document(written(*lines, on=on), spec=spec)})
    assert errors(loaded) == []
    return loaded.rules.rules[0]


WINDOW = ("measure: {n: {fn: count}}", "having: m.n > 5")


@pytest.mark.parametrize(
    ("over", "window", "over_us", "gap_us"),
    [
        ("5m", "sliding", 5 * MINUTE, 0),
        ("{type: sliding, size: 5m}", "sliding", 5 * MINUTE, 0),
        ("{type: tumbling, size: 1h}", "tumbling", HOUR, 0),
        ("{type: session, gap: 5m, max: 1h}", "session", HOUR, 5 * MINUTE),
    ],
)
def test_a_window_of_each_kind(over: str, window: str, over_us: int, gap_us: int) -> None:
    found = rule(f"over: {over}", *WINDOW)
    assert (found.window, found.over_us, found.gap_us) == (window, over_us, gap_us)


@pytest.mark.parametrize(
    "fn",
    [
        *("distinct", "sum", "avg", "min", "max", "last", "rate", "increase", "delta", "changes"),
        *("p50", "p75", "p90", "p95", "p99", "slope", "stddev"),
    ],
)
def test_a_measure_of_each_function(fn: str) -> None:
    found = rule(
        "over: 5m",
        f"measure: {{n: {{fn: {fn}, of: signal.data.restarts}}}}",
        "having: m.n > 5",
    )
    assert [measure.fn for measure in found.measures] == [fn]


def test_an_initial_count_is_for_rates_too() -> None:
    found = rule(
        "over: 5m",
        "measure: {n: {fn: rate, of: signal.data.restarts, count_initial: true}}",
        "having: m.n > 5.0",
    )
    assert found.measures[0].count_initial


@pytest.mark.parametrize("fn", ["distinct", "sum", "avg", "min", "max", "p50", "p99", "stddev"])
def test_the_latest_of_each_series_is_for_all_measures_of_values(fn: str) -> None:
    found = rule(
        "over: 5m",
        f"measure: {{n: {{fn: {fn}, of: signal.data.restarts, latest: true}}}}",
        "having: m.n > 5",
    )
    assert found.measures[0].latest


def test_whether_only_the_latest_count_is_part_of_the_identity_of_a_rule() -> None:
    flags = (", latest: true", ", latest: false", "")
    found = [rule("over: 5m", f"measure: {{n: {{fn: count{flag}}}}}", "having: m.n > 5")
             for flag in flags]  # fmt: skip
    assert found[0].hash != found[2].hash
    assert [one.measures[0].latest for one in found] == [True, False, False]


def test_an_absence() -> None:
    assert rule("absent: {expect: seen, within: 10m}").absent == Absent("seen", 10 * MINUTE)
    found = rule("absent: {expect: inventory, within: 10m, after: 1h}")
    assert found.absent == Absent("inventory", 10 * MINUTE, HOUR)


@pytest.mark.parametrize(
    ("by", "kinds"),
    [
        ("[cluster, namespace, workload]", "[Pod]"),
        ("[cluster, node]", "[Pod]"),
        ("[cluster, namespace]", "[Pod]"),
        ("[cluster, namespace, name]", "[Service]"),
        ("[cluster, namespace, kind, name]", "[Service, Secret]"),
    ],
)
def test_an_inventory_knows_keys_that_name_objects(by: str, kinds: str) -> None:
    found = rule(
        "absent: {expect: inventory, within: 10m}",
        f"by: {by}",
        on=f"on: [{{type: k8s.object, kinds: {kinds}}}]",
    )
    assert found.absent is not None


def test_a_sequence_whose_steps_have_their_own_streams() -> None:
    found = rule(
        "by: [cluster, namespace, name]",
        "sequence:",
        "  within: 10m",
        "  steps:",
        "    - {id: killed, on: [{type: k8s.event, reasons: [Killing]}]}",
        "    - id: gone",
        "      on: [{type: k8s.object, kinds: [Pod]}]",
        "      when: '!signal.data.ready'",
        "      by: [cluster, namespace, workload]",
        "    - {id: back, on: [{type: k8s.object, kinds: [Pod]}], not: true}",
        on="",
    )
    event = Selector("k8s.event", reasons=("Killing",))
    assert found.on == (event, POD)
    assert found.sequence is not None
    steps = [replace(step, when=None) for step in found.sequence.steps]
    assert steps == [
        SequenceStep("killed", (event,)),
        SequenceStep("gone", (POD,), by=("cluster", "namespace", "workload")),
        SequenceStep("back", (POD,), negated=True),
    ]
    assert found.sequence.steps[1].when is not None
    assert found.sequence.steps[1].when.source == "!signal.data.ready"
    assert replace(found.sequence, steps=()) == Sequence((), 10 * MINUTE)


def test_steps_without_a_stream_take_that_of_the_rule() -> None:
    found = rule(
        "sequence:",
        "  {steps: [{id: a, when: signal.data.ready}, {id: b, when: '!signal.data.ready'}],",
        "   within: 1m, ordered: false, overlap: true}",
    )
    assert found.sequence is not None
    assert [step.on for step in found.sequence.steps] == [(POD,), (POD,)]
    assert found.on == (POD,)
    assert (found.sequence.ordered, found.sequence.overlap) == (False, True)


@pytest.mark.parametrize(
    ("cron", "fields"),
    [
        ("'0 6 * * MON-FRI'", "0 6 * * MON-FRI"),
        ("'  0   6 * * 1#2 '", "0 6 * * 1#2"),
        ("'@hourly'", "0 * * * *"),
        ("'@daily'", "0 0 * * *"),
        ("'@weekly'", "0 0 * * 0"),
        ("'@monthly'", "0 0 1 * *"),
        ("'@yearly'", "0 0 1 1 *"),
        ("0 0 29 2 *", "0 0 29 2 *"),
        ("0 0 L * *", "0 0 L * *"),
    ],
)
def test_a_schedule_comes_in_five_fields(cron: str, fields: str) -> None:
    found = rule("when: signal.data.ready", f"schedule: {{cron: {cron}}}")
    assert found.schedule == Schedule(fields)


def test_a_schedule_with_everything() -> None:
    found = rule(
        "when: signal.data.ready",
        "schedule: {cron: 0 6 * * *, timezone: Europe/Berlin, jitter: 1h, catch_up: last}",
    )
    assert found.schedule == Schedule("0 6 * * *", "Europe/Berlin", HOUR, "last")


def test_a_schedule_alone_runs_by_the_clock_of_the_second_stage() -> None:
    found = rule("schedule: {cron: '@weekly'}", on="")
    assert (found.on, found.by, found.when) == ((Selector("clock"),), (), None)


def test_a_hold_from_the_defaults_is_not_for_a_schedule() -> None:
    found = rule(
        "when: signal.data.ready",
        "schedule: {cron: '@daily'}",
        spec="  defaults: {for: 5m, keep_firing_for: 5m, repeat: 1h}\n",
    )
    assert (found.for_us, found.keep_firing_for_us, found.repeat_us) == (0, 0, HOUR)


def test_limits_and_modes() -> None:
    found = rule(
        "when: signal.data.ready && now > timestamp('2026-01-01T00:00:00Z')",
        "mode: shadow",
        "reevaluate: 1h",
        "debounce: 30s",
        "repeat: 4h",
        "max_per_hour: 10",
        "ignore_self: false",
        "on_nodata: resolve",
    )
    assert found.mode == "shadow"
    assert (found.reevaluate_us, found.debounce_us) == (HOUR, 30 * SECOND)
    assert (found.repeat_us, found.max_per_hour) == (4 * HOUR, 10)
    assert (found.ignore_self, found.on_nodata) == (False, "resolve")


def test_what_is_not_written_is_no_limit() -> None:
    found = rule("when: signal.data.ready")
    assert (found.mode, found.on_nodata, found.ignore_self) == ("live", "keep", True)
    assert (found.reevaluate_us, found.debounce_us, found.repeat_us) == (0, 0, 0)
    assert found.max_per_hour == 0
    assert found.window == "sliding"
    assert (found.absent, found.sequence, found.schedule) == (None, None, None)
    assert found.mute_during == ()


def test_limits_may_come_from_the_defaults() -> None:
    found = rule(
        "when: signal.data.ready",
        "max_per_hour: 0",
        spec="  defaults: {mode: shadow, debounce: 1m, repeat: 1h, max_per_hour: 4}\n",
    )
    assert (found.mode, found.debounce_us, found.repeat_us) == ("shadow", MINUTE, HOUR)
    assert found.max_per_hour == 0


NIGHTS = """\
  intervals:
    nights:
      times: [{start_time: "00:00", end_time: "6:30"}, {start_time: 22:00, end_time: 24:00}]
      weekdays: [monday:friday, Sunday]
      days_of_month: [1:5, -1, "-3:-2"]
      months: [december, 1:3, may:august]
      years: [2026, 2027:2029]
      timezone: Europe/Berlin
"""
NIGHT = Interval(
    "nights",
    timezone="Europe/Berlin",
    times=((0, 390), (1320, 1440)),
    weekdays=((0, 4), (6, 6)),
    days_of_month=((1, 5), (-1, -1), (-3, -2)),
    months=((12, 12), (1, 3), (5, 8)),
    years=((2026, 2026), (2027, 2029)),
)


def test_an_interval_of_every_part() -> None:
    found = rule("when: signal.data.ready", "mute_during: [nights]", spec=NIGHTS)
    assert found.mute_during == (NIGHT,)


def test_intervals_are_for_the_rules_of_every_file() -> None:
    alone = document("").replace("  rules:\n", NIGHTS)
    user = document(written("when: signal.data.ready", "mute_during: [nights]"))
    loaded = load({"z.yaml": alone, "a.yaml": user})
    assert errors(loaded) == []
    assert loaded.rules.rules[0].mute_during == (NIGHT,)


def test_the_name_of_an_interval_is_unique_over_all_files() -> None:
    alone = document("").replace("  rules:\n", NIGHTS)
    assert errors(load({"a.yaml": alone, "b.yaml": alone})) == [
        "b.yaml:6:5 interval nights: the name is taken, a.yaml:6"
    ]


def test_a_group_needs_rules_or_intervals() -> None:
    text = document("").replace("  rules:\n", "  defaults: {cooldown: 1h}\n")
    assert errors(load({"a.yaml": text})) == ["a.yaml:5:3 spec has neither rules nor intervals"]


def test_notices_can_be_grouped_by_keys_and_labels() -> None:
    found = rule(
        "when: signal.data.ready",
        "labels: {team: core}",
        "notify: [{sink: oncall, group_by: [namespace, team]}]",
    )
    assert found.notify == (Notice("oncall", group_by=("namespace", "team")),)


def test_the_second_stage_groups_by_what_is_given_and_needs_no_cluster() -> None:
    bare = rule("when: signal.data.outcome == 'ok'", on="on: [{type: mission}]")
    assert bare.by == ()
    given = rule(
        "by: [signal.data.rule]",
        "over: 5m",
        "measure: {clusters: {fn: distinct, of: signal.data.cluster}}",
        "having: m.clusters >= 2",
        on="on: [{type: condition, clusters: [prod-*]}]",
    )
    assert given.by == ("signal.data.rule",)


def test_a_sequence_of_the_second_stage_needs_no_cluster() -> None:
    found = rule(
        "by: [signal.data.firing]",
        "sequence:",
        "  within: 1h",
        "  steps:",
        "    - {id: fired, on: [{type: condition}], by: [signal.data.firing]}",
        "    - {id: done, on: [{type: mission}], by: [signal.data.firing]}",
        on="",
    )
    assert found.by == ("signal.data.firing",)


@pytest.mark.parametrize(
    "change",
    [
        ("over: 10m", "over: {type: tumbling, size: 10m}"),
        ("over: {type: session, gap: 1m, max: 10m}", "over: {type: session, gap: 2m, max: 10m}"),
        ("absent: {expect: seen, within: 5m}", "absent: {expect: seen, within: 6m}"),
        (
            "sequence: {within: 5m, steps: [{id: a}, {id: b, when: signal.data.ready}]}",
            "sequence: {within: 5m, steps: [{id: a}, {id: b, when: '!signal.data.ready'}]}",
        ),
    ],
)
def test_the_hash_covers_the_core(change: tuple[str, str]) -> None:
    def hashed(core: str) -> str:
        return rule(core, *(WINDOW if core.startswith("over") else ())).hash

    assert hashed(change[0]) != hashed(change[1])


def test_the_hash_leaves_out_what_is_not_the_core() -> None:
    plain = rule("when: signal.data.ready")
    more = rule("when: signal.data.ready", "repeat: 1h", "mode: shadow", "debounce: 1m")
    assert plain.hash == more.hash


MISSION = ("when: signal.data.ready", "cooldown: 1h", "mission: {kind: plan, params: {days: 3}}")


def test_a_mission_kind_that_comes_later_leaves_a_rule_that_only_tells() -> None:
    kinds = {"plan": KindShape({"days": {}}, later=True)}
    loaded = load({"a.yaml": document(written(*MISSION))}, known_kinds=kinds)
    assert errors(loaded) == []
    assert "mission-later" in {fault.code for fault in loaded.faults}
    assert loaded.rules.rules[0].mission is None


def test_a_mission_kind_that_is_there_is_ordered() -> None:
    kinds = {"plan": KindShape({"days": {"type": "integer"}}, required=frozenset({"days"}))}
    loaded = load({"a.yaml": document(written(*MISSION))}, known_kinds=kinds)
    assert errors(loaded) == []
    assert loaded.rules.rules[0].mission == MissionOrder("plan", {"days": 3})


def test_equal_conditions_over_equal_streams_share_a_program() -> None:
    when = "when: signal.data.restarts > 3"
    again = written(when).replace("name: r", "name: s")
    one, other = load({"a.yaml": document(written(when) + again)}).rules.rules
    assert one.when is other.when


def test_a_condition_is_held_against_the_stream_of_its_own_rule() -> None:
    when = "when: signal.data.restarts > 3"
    nodes = written(when, on="on: [{type: k8s.object, kinds: [Node]}]").replace(
        "name: r", "name: s"
    )
    (error,) = errors(load({"a.yaml": document(written(when) + nodes)}))
    assert "rule s: unknown field 'restarts' of k8s.object Node" in error


def test_what_a_mission_may_do_and_where_is_taken_as_written() -> None:
    acts = (
        "{kind: plan, mode: apply, approval: policy, dedup_key: '{{ key.cluster }}', advise: rank,"
        " targets: {clusters: [eu-*], groups: [prod], labels: 'tier in (a, b)', exclude: [eu-9]}}"
    )
    found = rule("when: signal.data.ready", "cooldown: 1h", f"mission: {acts}").mission
    assert found == MissionOrder(
        kind="plan",
        mode="apply",
        approval="policy",
        targets={
            "clusters": ["eu-*"],
            "groups": ["prod"],
            "labels": "tier in (a, b)",
            "exclude": ["eu-9"],
        },
        dedup_key="{{ key.cluster }}",
        advise="rank",
    )


def test_a_mission_only_reports_unless_it_is_told_otherwise() -> None:
    found = rule("when: signal.data.ready", "cooldown: 1h", "mission: {kind: plan}").mission
    assert found == MissionOrder("plan", mode="report", approval="person", targets={}, advise="off")
