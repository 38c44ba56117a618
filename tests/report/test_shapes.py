"""Each kind of delivery and each outcome has its shape, whatever is missing."""

import time
from datetime import UTC, datetime

import pytest

from engine.model.change_state import ChangeState
from engine.model.delivery import Occasion
from engine.model.report import Coverage, Outcome, Precondition, Report, Term, Unknown
from engine.report import headline, subject, to_blocks, to_markdown, to_plain, to_text
from engine.report.html import to_html
from engine.report.words import CHANGE_STATES
from tests.report.sample import (
    NOON,
    a_delivery,
    a_digest,
    a_report,
    a_report_that_acted,
    a_rolled_back_change,
    a_shared_delivery,
    a_stuck_change,
    an_applied,
    an_ask,
    findings,
    incidents,
)


def positions(text: str, *words: str) -> list[int]:
    return [text.index(word) for word in words]


def test_a_result_leads_with_the_cause_then_options_then_what_is_unknown() -> None:
    text = to_plain(a_delivery(Occasion.RESULT))
    order = positions(text, "LIKELY CAUSE", "FATAL: env", "Options", "rollout undo", "Not known")
    assert order == sorted(order)
    assert headline(a_delivery(Occasion.RESULT)).startswith("Likely cause: Revision 4")


def test_a_fire_is_short_and_says_rule_group_since_value_members_and_runbook() -> None:
    text = to_plain(a_delivery(Occasion.FIRE))
    assert len(text.splitlines()) <= 15
    for said in (
        "pod-crash-loop",
        "namespace shop",
        "since 2026-11-24 11:59:20 UTC",
        "restarts = 6",
        "web-6c9f7d-mm4qd",
        "runbooks.example",
    ):
        assert said in text


def test_a_fire_without_measures_says_its_text() -> None:
    bare = a_delivery(Occasion.FIRE, value={}, members=[], member_count=0, reason="", since=None)
    assert "Measured: restarts = 6." in to_plain(bare)
    assert "since 2026-11-24 12:00:00 UTC" in to_plain(bare)


def test_members_that_are_not_shown_are_counted() -> None:
    many = a_delivery(Occasion.FIRE, members=[f"web-{n}" for n in range(20)], member_count=200)
    assert "and 192 others" in " ".join(to_plain(many).split())


def test_members_without_a_name_are_not_listed() -> None:
    metric = a_delivery(Occasion.FIRE, members=[""], member_count=1)
    assert "Concerns" not in to_plain(metric)
    mixed = a_delivery(Occasion.FIRE, members=["", "web-1"], member_count=2)
    assert "web-1 and 1 other" in " ".join(to_plain(mixed).split())


def test_a_resolve_says_how_long_it_lasted_and_what_proves_it() -> None:
    text = to_plain(a_delivery(Occasion.RESOLVE))
    assert "RESOLVED AFTER 12M" in text
    assert "Lasted    12m" in text
    assert "the condition no longer holds" in text
    assert subject(a_delivery(Occasion.RESOLVE)).startswith("[resolved] ")


@pytest.mark.parametrize(
    "reason", ["threshold", "hold", "storm", "sequence", "absent", "schedule", "no data"]
)
def test_every_way_to_fire_is_told_in_words(reason: str) -> None:
    (line,) = (one for one in to_plain(a_delivery(reason=reason)).splitlines() if "Fired by" in one)
    assert len(line.removeprefix("Fired by").split()) >= 4


@pytest.mark.parametrize(
    "reason",
    [
        "cleared",
        "deleted",
        "no data",
        "rule changed",
        "rule removed",
        "cluster left",
        "cluster renamed",
        "cluster re-created",
    ],
)
def test_every_way_to_end_is_told_in_words(reason: str) -> None:
    text = to_plain(a_delivery(Occasion.RESOLVE, reason=reason))
    (line,) = (one for one in text.splitlines() if "Ended by" in one)
    assert len(line.removeprefix("Ended by").split()) >= 4


@pytest.mark.parametrize(
    "reason", ["no data", "rule removed", "rule changed", "inhibited", "cluster left"]
)
def test_an_end_that_proves_nothing_is_not_told_as_a_proof(reason: str) -> None:
    text = to_plain(a_delivery(Occasion.RESOLVE, reason=reason))
    assert "nothing proves" in text or "not measured" in text


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_renders_without_incidents(outcome: Outcome) -> None:
    empty = Coverage(answered=0, possible=0)
    report = Report(
        kind="incident-response",
        started=NOON,
        finished=NOON,
        outcome=outcome,
        summary="",
        coverage=empty,
    )
    delivery = a_delivery(Occasion.RESULT, report=report, title="")
    for text in (to_text(report), to_markdown(report), to_html(delivery), to_plain(delivery)):
        assert outcome.value in text.lower()
    assert to_blocks(delivery)[0]["type"] == "header"
    assert subject(delivery) == f"[{outcome}] pod-crash-loop"


def test_a_check_without_answer_is_never_told_as_all_read() -> None:
    report = a_report(coverage=Coverage(answered=3, possible=5))
    assert "2 checks stayed without an answer" in to_text(report)
    whole = a_report(coverage=Coverage(answered=5, possible=5))
    assert "Everything that was asked for could be read" in to_text(whole)


def test_findings_that_say_the_same_are_one_entry() -> None:
    text = to_text(a_report())
    assert text.count("Container app exits again and again") == 1
    assert all(name in text for name in ("x2x1k", "8fj2p", "mm4qd"))


def test_findings_of_no_incident_are_shown() -> None:
    assert "Other findings" in to_text(a_report(incidents=incidents()[:1]))
    assert "Findings" in to_text(a_report(incidents=[]))


def test_the_text_keeps_to_its_width() -> None:
    commands = a_report(changes=[])  # a command is never broken
    for width in (60, 80, 100, 140):
        assert max(map(len, to_text(commands, width=width).splitlines())) <= width


def test_a_huge_report_renders_in_bounded_time_and_size() -> None:
    many = [
        finding.model_copy(update={"id": f"{finding.id}-{n}", "observed": f"seen {n}"})
        for n in range(2000)
        for finding in findings()[:1]
    ]
    big = incidents()[0].model_copy(update={"findings": [finding.id for finding in many]})
    report = a_report(findings=many, incidents=[big] * 300)
    start = time.process_time()
    assert "and 200 incidents more" in to_text(report)
    assert len(to_html(a_delivery(Occasion.RESULT, report=report))) < 100_000
    assert len(to_blocks(a_delivery(Occasion.RESULT, report=report))) <= 50
    assert time.process_time() - start < 10


def test_unknowns_with_one_reason_are_one_line_in_every_rendering() -> None:
    things = [f"thing {n:02}" for n in range(15)]
    unknowns = [
        Unknown(what=what, cluster=cluster, reason="no status here")
        for cluster in ("eu", "us")
        for what in things
    ]
    unknowns += [Unknown(what="nodes", cluster="us", reason="no status here")]
    report = a_report(coverage=Coverage(answered=0, possible=31, unknowns=unknowns))
    delivery = a_delivery(Occasion.RESULT, report=report)
    for said in (to_text(report), to_markdown(report), to_html(delivery), to_plain(delivery)):
        assert said.count("no status here") == 1
    text = " ".join(to_text(report).split())
    assert "thing 00, thing 01, thing 02" in text
    assert "thing 11 and 3 more in eu, us; nodes in us: no status here" in text
    assert "thing 12" not in text
    assert len(report.coverage.unknowns) == 31


def test_reasons_that_are_not_shown_are_counted_by_what_they_left_unknown() -> None:
    unknowns = [Unknown(what=f"w{n}", reason=f"because {n // 2}") for n in range(20)]
    report = a_report(coverage=Coverage(answered=0, possible=20, unknowns=unknowns))
    text = to_plain(a_delivery(Occasion.RESULT, report=report))
    assert "because 5" in text
    assert "because 6" not in text
    assert "and 8 unknowns more, in the JSON report" in text


def test_a_report_on_a_snapshot_without_time_says_none() -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    timeless = a_report(started=epoch, finished=epoch)
    delivery = a_delivery(Occasion.RESULT, report=timeless)
    for said in (to_text(timeless), to_markdown(timeless), to_html(delivery), to_plain(delivery)):
        assert "1970" not in said
        assert "took" not in said


def test_a_mission_that_took_no_time_says_when_and_not_how_long() -> None:
    text = to_text(a_report(started=NOON, finished=NOON))
    assert "2026-11-24 12:00:00 UTC" in text
    assert "took" not in text


def said_by(report: Report) -> list[str]:
    delivery = a_delivery(Occasion.RESULT, report=report, title="told by the rule")
    return [
        " ".join(said.replace("│", " ").split())
        for said in (to_text(report), to_markdown(report), to_html(delivery), to_plain(delivery))
    ]


def test_the_main_sentence_is_said_once() -> None:
    only = incidents()[0].model_copy(update={"title": "web is down"})
    report = a_report(incidents=[only], summary="web is down (likely); all pods. 1 of 2 checks.")
    for said in said_by(report):
        assert said.count("web is down") == 1
        assert "Cause: likely. All pods. 1 of 2 checks." in said
    assert "Incident [critical]" in said_by(report)[0]


def test_a_summary_that_goes_on_with_the_title_stays_whole() -> None:
    only = incidents()[0].model_copy(update={"title": "web is down"})
    for said in said_by(a_report(incidents=[only], summary="web is down since noon. So there.")):
        assert "web is down since noon. So there." in said


def test_a_summary_that_leads_to_the_title_points_at_it() -> None:
    only = incidents()[0].model_copy(update={"title": "web is down"})
    summary = "Nothing was found where you pointed (node n1); web is down (likely); all pods."
    for said in said_by(a_report(incidents=[only], summary=summary)):
        assert said.count("web is down") == 1
        assert "(node n1); the incident above (likely); all pods." in said


def test_incidents_beside_the_worst_keep_their_titles() -> None:
    text = to_text(a_report())
    assert "Incident 1 [critical]" in " ".join(text.split())
    assert "Incident 2: PersistentVolumeClaim batch/reports stays Pending" in text


def test_evidence_is_told_in_full_once_and_by_its_id_afterwards() -> None:
    for said in (to_text(a_report()), to_markdown(a_report())):
        assert said.replace("\\", "").count("FATAL: environment variable PAYMENTS_URL is not") == 1
        assert "Evidence: e2, as above" in said.replace("`", "")


def test_evidence_that_was_cut_off_above_is_told_below() -> None:
    first, second = incidents()[0].hypotheses
    proof = [item for found in findings() for item in found.evidence]
    many = [proof[0].model_copy(update={"id": f"m{n}", "value": f"seen {n}"}) for n in range(25)]
    whole = findings()[0].model_copy(update={"evidence": many})
    causes = [
        first.model_copy(update={"evidence": [item.id for item in many]}),
        second.model_copy(update={"evidence": ["m1", "m22"]}),
    ]
    incident = incidents()[0].model_copy(update={"hypotheses": causes, "findings": [whole.id]})
    text = to_text(a_report(findings=[whole], incidents=[incident]))
    assert text.count("seen 22") == 1
    assert "Also: m1, as above" in text


def test_a_mail_shows_every_term_of_the_score() -> None:
    terms = [Term(name=f"term{n}", weight=0.1, value=0, why="nothing seen") for n in range(6)]
    cause = incidents()[0].hypotheses[0].model_copy(update={"terms": terms})
    report = a_report(incidents=[incidents()[0].model_copy(update={"hypotheses": [cause]})])
    delivery = a_delivery(Occasion.RESULT, report=report)
    for said in (to_plain(delivery), to_html(delivery)):
        assert all(f"term{n}" in said for n in range(6))


def test_terms_and_causes_that_are_not_shown_are_counted() -> None:
    terms = [Term(name=f"term{n}", weight=0.1, value=0, why="nothing seen") for n in range(23)]
    causes = [incidents()[0].hypotheses[0].model_copy(update={"terms": terms})] * 5
    report = a_report(incidents=[incidents()[0].model_copy(update={"hypotheses": causes})])
    mail = " ".join(to_plain(a_delivery(Occasion.RESULT, report=report)).split())
    assert "and 3 terms more" in mail
    assert "and 2 possible causes more" in mail


def test_an_incident_without_a_title_leaves_the_summary_whole() -> None:
    bare = incidents()[0].model_copy(update={"title": ""})
    for said in said_by(a_report(incidents=[bare], summary="All is down. So there.")):
        assert "All is down. So there." in said


def test_the_impact_is_said_once() -> None:
    first, second = (
        found.model_copy(update={"impact": "9 pods are struck"}) for found in incidents()
    )
    summary = f"{first.title} (likely); 9 pods are struck. 1 of 2 checks gave an answer."
    for said in said_by(a_report(incidents=[first], summary=summary)):
        assert said.count("9 pods are struck") == 1
    for said in said_by(a_report(incidents=[first, second], summary=summary)):
        assert said.count("9 pods are struck") == 2
    for said in said_by(a_report(incidents=[first])):
        assert said.count("9 pods are struck") == 1


def test_what_was_also_considered_is_told_as_sure_as_it_is() -> None:
    first, second = incidents()[0].hypotheses
    causes = [first, second, second.model_copy(update={"verdict": "likely", "title": "A quota"})]
    report = a_report(incidents=[incidents()[0].model_copy(update={"hypotheses": causes})])
    mail = " ".join(to_plain(a_delivery(Occasion.RESULT, report=report)).split())
    assert "to be reached (possible, not shown to be the cause)" in mail
    assert "A quota (likely as well)" in mail


def test_a_reminder_says_that_it_goes_on_and_for_how_long() -> None:
    delivery = a_delivery(Occasion.REPEAT)
    assert "STILL FIRING AFTER 2H" in to_plain(delivery)
    assert subject(delivery) == "[critical] still firing: pod-crash-loop: prod-eu, shop, web"
    assert headline(delivery).startswith("Still firing after 2h: pod-crash-loop")


def test_a_shared_message_lists_what_is_new_what_goes_on_and_what_is_over() -> None:
    opening, update, end = (
        a_shared_delivery(change) for change in (Occasion.FIRE, Occasion.REPEAT, Occasion.RESOLVE)
    )
    text = to_plain(opening)
    assert positions(text, "New (3)", "web", "checkout", "search", "Rule")
    assert positions(to_plain(update), "Still firing (2)", "checkout", "Over (1)", "web")
    assert "Over (3)" in to_plain(end)
    assert subject(opening) == "[critical] pod-crash-loop: prod-eu, shop (3 firing)"
    assert subject(end) == "[resolved] pod-crash-loop: prod-eu, shop (all 3 over)"
    assert headline(update).endswith("2 firing, 1 over. Over: web.")


def test_what_dogwatch_marks_comes_after_what_it_changes() -> None:
    lines = ["annotation dogwatch.dev/change unset -> c-1", "replicas 1 -> 3"]
    for told in (
        a_delivery(Occasion.APPROVAL, ask=an_ask(lines=lines)),
        a_delivery(Occasion.CHANGE, applied=an_applied(lines=lines)),
    ):
        assert positions(to_plain(told), "replicas", "annotation") == sorted(
            positions(to_plain(told), "replicas", "annotation")
        )


def test_an_approval_says_what_changes_before_where_why_who_and_what_follows() -> None:
    asked = a_delivery(Occasion.APPROVAL)
    for text in (to_plain(asked), str(to_blocks(asked))):
        order = positions(
            text, "What would change", "+++", "Where", "Undo", "Why now", "Decides", "Once it is"
        )
        assert order == sorted(order)


def test_who_decides_is_told_as_it_stands() -> None:
    def said(**changes: object) -> str:
        return " ".join(to_plain(a_delivery(Occasion.APPROVAL, ask=an_ask(**changes))).split())

    assert "2 different people of sre or shop-owners" in said(needed=2)
    assert "who each type the name web" in said(typed="web")
    assert "approved by ada; 1 more needed" in said(needed=2, approved_by=["ada"])
    assert "nobody may approve it by the policy in force" in said(groups=[])
    assert "not bo, who asked for it" in said(requester="bo")
    assert "who asked for it" not in said(requester="rule:pod-crash-loop")


def test_a_digest_names_no_single_risk_in_its_subject() -> None:
    assert subject(a_digest()) == "[approve?] 7 changes wait for a decision"


def test_a_doubt_is_told_once() -> None:
    checked = [Precondition(name="no migration ran", holds=None, why="not readable")]
    notes = ["could not be told: no migration ran (not readable)", "1 finding would be gone"]
    ask = an_ask(checked=checked, notes=notes)
    text = " ".join(to_plain(a_delivery(Occasion.APPROVAL, ask=ask)).split())
    assert text.count("no migration ran") == 1
    assert "1 finding would be gone" in text


@pytest.mark.parametrize("state", ChangeState)
def test_each_state_of_a_change_has_words_and_a_subject(state: ChangeState) -> None:
    delivery = a_delivery(Occasion.CHANGE, applied=an_applied(state=state, applied=None))
    assert subject(delivery).startswith(f"[{CHANGE_STATES[state][1]}]")
    assert "What was proposed" in to_plain(delivery)
    assert len(to_blocks(delivery)) <= 50


def test_only_a_needed_person_is_shown_each_field_before_and_after() -> None:
    stuck = to_plain(a_delivery(Occasion.CHANGE, applied=a_stuck_change()))
    assert '- spec.template.spec.image: "web:2.4.1"' in stuck
    assert '+ spec.template.spec.image: "web:2.4.2-rc1"' in stuck
    back = to_plain(a_delivery(Occasion.CHANGE, applied=a_rolled_back_change()))
    assert "before and after" not in back


def test_the_fields_of_an_object_are_told_by_their_paths() -> None:
    before = {"metadata": {"annotations": {"a.b/c": None}}, "spec": {"args": ["x", "y"], "env": []}}
    after = {"metadata": {"annotations": {"a.b/c": "1"}}, "spec": {"args": ["x", "z"], "env": []}}
    objects = [{"object": "Pod a/b", "before": before, "after": after}]
    applied = a_stuck_change().model_copy(update={"objects": objects})
    text = to_text(a_report(applied=[applied]))
    for line in (
        '- metadata.annotations."a.b/c": null',
        '+ metadata.annotations."a.b/c": "1"',
        '  spec.args[0]: "x"',
        '- spec.args[1]: "y"',
        '+ spec.args[1]: "z"',
        "  spec.env: []",
    ):
        assert line in text


def test_a_report_tells_what_became_of_its_changes_and_of_each_cluster() -> None:
    text = to_text(a_report_that_acted())
    assert "Changes [1 verified, 1 needs a person]" in text
    assert "prod-us: not assessed, it did not answer" in text
    assert "nothing was changed]" not in text
    assert "gave no usable answer" in text
    assert "Clusters" not in to_text(a_report(per_cluster={"prod-eu": "ok"}))


def test_a_diff_that_is_cut_says_how_much_is_missing() -> None:
    ask = an_ask(diff="\n".join(f"+ line {n}" for n in range(100)))
    assert "… and 40 more lines" in to_plain(a_delivery(Occasion.APPROVAL, ask=ask))
    assert "… and 76 more lines" in str(to_blocks(a_delivery(Occasion.APPROVAL, ask=ask)))


def test_an_address_that_is_no_page_of_ours_is_no_link() -> None:
    for url in ("javascript:alert(1)", "https://x.example/a b", "https://x.example/?q=<b>", ""):
        delivery = a_delivery(Occasion.APPROVAL, ask=an_ask(url=url))
        assert "<a " not in to_html(delivery)
        assert "Open it" not in to_plain(delivery)
        assert "Open it" not in str(to_blocks(delivery))


def test_a_shared_message_of_many_firings_stays_short_and_counts_the_rest() -> None:
    one = a_shared_delivery().episodes[0]
    many = a_shared_delivery().model_copy(update={"episodes": [one] * 200})
    assert "… and 170 others" in to_plain(many)
    assert len(to_blocks(many)) <= 50
    assert "… and 190 others" in str(to_blocks(many))
    assert len(subject(many)) <= 140
