"""Who is told of what: a rule's own sinks, else the routes that take its labels."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.missions.notices import Route, Told, notices, tell_result, tell_transition
from engine.model.delivery import Delivery, Occasion
from engine.model.firing import State, Transition
from engine.model.mission import MissionRow
from engine.model.report import Coverage, Outcome, Report
from engine.model.signal import Signal
from engine.rules.rule import Notice, Rule

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_US = 1_772_366_400_000_000
ALL = Route(("out",), {})


def a_rule(**fields: Any) -> Rule:
    values = {"labels": {"severity": "critical", "team": "shop"}, **fields}
    return Rule("storm", (), ("cluster",), "h", **values)


def a_move(state: State = State.FIRING, **fields: Any) -> Transition:
    values: dict[str, Any] = {"value": {"m": 6}, "firing": "f-1", **fields}
    return Transition(NOON_US, "storm", {"cluster": "prod"}, state, **values)


def told(rule: Rule, move: Transition, *routes: Route, **around: Any) -> list[Delivery]:
    return list(tell_transition(rule, Told(move, **around), routes))


def test_a_rule_with_its_own_sinks_ignores_the_routes() -> None:
    rule = a_rule(notify=(Notice("own"),))
    assert [one.sink for one in told(rule, a_move(), ALL)] == ["own"]


def test_routes_match_labels_by_globs() -> None:
    routes = (
        Route(("a",), {"severity": ("crit*",), "team": ("shop",)}),
        Route(("b",), {"severity": ("low",)}),
        Route(("c",), {"nothing": ("x",)}),
        Route(("d",), {"rule": ("storm",)}),
    )
    assert [notice.sink for notice in notices(a_rule(), routes)] == ["a", "d"]


def test_a_sink_of_two_routes_is_told_once_of_all_that_either_wants() -> None:
    routes = (Route(("a",), {}, ("fire",)), Route(("a",), {}, ("result", "fire")))
    assert notices(a_rule(), routes) == (Notice("a", ("fire", "result")),)


def test_only_what_a_sink_wants_is_told() -> None:
    route = Route(("a",), {}, ("resolve",))
    assert told(a_rule(), a_move(State.FIRING), route) == []
    assert [one.change for one in told(a_rule(), a_move(State.RESOLVED), route)] == [
        Occasion.RESOLVE
    ]


def test_pending_inactive_and_suppressed_are_nobodys_news() -> None:
    for state in (State.PENDING, State.INACTIVE, State.SUPPRESSED):
        assert told(a_rule(), a_move(state), ALL) == []


def test_the_key_is_that_of_firing_change_and_sink() -> None:
    first, again = told(a_rule(), a_move(), ALL), told(a_rule(), a_move(), ALL)
    assert first[0].key == again[0].key
    assert first[0].key != told(a_rule(), a_move(State.RESOLVED), ALL)[0].key


def test_annotations_are_filled_from_the_firing_and_its_signal() -> None:
    signal = Signal(id="s", source="x", type="k8s.event", time=NOON, data={"reason": "OOM"})
    rule = a_rule(
        annotations={"summary": "{{ m.m }} of {{ key.cluster }}: {{ signal.data.reason }}"}
    )
    one = told(rule, a_move(), ALL, cause=signal)[0]
    assert one.annotations["summary"] == "6 of prod: OOM"
    assert one.text == "6 of prod: OOM Measured: m = 6."


def test_an_annotation_that_cannot_be_filled_stands_as_written() -> None:
    rule = a_rule(annotations={"summary": "{{ m.other }}"})
    assert told(rule, a_move(), ALL)[0].annotations == {"summary": "{{ m.other }}"}


def test_a_delivery_carries_when_it_began_and_whom_it_concerns() -> None:
    move = a_move(State.RESOLVED, members=("a", "b"), member_count=9, reason="cleared")
    one = told(a_rule(), move, ALL, since_us=NOON_US - 60_000_000)[0]
    assert one.since is not None
    assert (one.at - one.since).total_seconds() == 60
    assert (one.members, one.member_count, one.reason) == (["a", "b"], 9, "cleared")


def a_report() -> Report:
    return Report(
        kind="incident-response",
        run_id="m-1",
        started=NOON,
        finished=NOON,
        outcome=Outcome.OK,
        summary="Nothing found.",
        coverage=Coverage(answered=1, possible=1),
    )


def test_a_result_goes_to_those_who_want_results_with_its_report() -> None:
    report = a_report()
    routes = (Route(("a",), {}, ("result",)), Route(("b",), {}, ("fire",)))
    row = MissionRow("m-1", report.kind, {}, NOON, firing="f-1", key={"cluster": "prod"})
    found = list(tell_result(a_rule(), report, row, routes))
    assert [(one.sink, one.incident, one.mission) for one in found] == [("a", "f-1", "m-1")]
    assert found[0].report == report
    assert list(tell_result(None, report, row, routes)) == []


def test_each_report_of_a_mission_is_told_once_and_by_itself() -> None:
    first = a_report()
    routes = (Route(("a",), {}),)

    def key(before: Report | None) -> str:
        row = MissionRow("m-1", first.kind, {}, NOON, firing="f-1", report=before)
        return next(tell_result(a_rule(), first, row, routes)).key

    later = first.model_copy(update={"finished": NOON + timedelta(hours=1)})
    assert len({key(None), key(first), key(later)}) == 3
    assert key(first) == key(first)


def test_a_reminder_goes_to_those_who_hear_of_openings_with_a_key_of_its_own() -> None:
    routes = (Route(("a",), {}, ("fire",)), Route(("b",), {}, ("resolve",)))
    first = told(a_rule(), a_move(reason="repeat"), *routes)
    assert [(one.sink, one.change) for one in first] == [("a", Occasion.REPEAT)]
    again = told(a_rule(), a_move(reason="repeat"), *routes)
    later = list(
        tell_transition(a_rule(), Told(replace(a_move(reason="repeat"), at=NOON_US + 1)), routes)
    )
    opening = told(a_rule(), a_move(), *routes)
    assert first[0].key == again[0].key
    assert len({first[0].key, later[0].key, opening[0].key}) == 3


def test_group_by_names_what_firings_share_by_keys_and_labels() -> None:
    notice = Notice("a", group_by=("cluster", "labels.team", "zone"))
    (one,) = told(a_rule(notify=(notice,)), a_move())
    assert one.shared == {"cluster": "prod", "labels.team": "shop", "zone": ""}
    assert told(a_rule(notify=(Notice("a"),)), a_move())[0].shared == {}
