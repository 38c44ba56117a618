"""The model adds to a report or does not; what was found stays what it is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.advisor.stand_in import KEY, TOKENS, Purse, a_report, advised_by, asked, said
from tests.testbeds.receiver import Answer, json_answer, too_many

if TYPE_CHECKING:
    from pathlib import Path

    from engine.model.report import Report
    from tests.testbeds.receiver import Request


def sentence(text: str = "A setting is missing.", *evidence: str) -> dict[str, Any]:
    return {"text": text, "evidence": list(evidence) or ["e1"]}


def an_answer(*sentences: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"sentences": list(sentences), "ranking": [], "choice": "", **fields}


def bare(report: Report) -> Report:
    """Return what a model may never touch."""
    return report.model_copy(update={"narrative": None, "advice": "off"})


async def test_sentences_that_cite_evidence_become_the_narrative(tmp_path: Path) -> None:
    report = a_report()
    good = an_answer(sentence("A setting of the container is missing.", "e1", "e2"))
    with advised_by(lambda _: said(good), tmp_path) as (advisor, receiver, _clock):
        advised = await advisor.advise(report, "explain")
        (request,) = receiver.requests
    first, second = (one.id for one in report.findings[0].evidence[:2])
    assert advised.report.advice == "given"
    assert advised.report.narrative == f"A setting of the container is missing. [{first}, {second}]"
    assert bare(advised.report) == report
    assert advised.record["tokens"] == TOKENS
    assert advised.record["calls"] == 1
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.path.startswith("/v1/messages")
    assert "tools" not in request.json()


async def test_no_name_of_an_object_leaves_and_the_answer_has_them_again(tmp_path: Path) -> None:
    report = a_report()

    def by_name(request: Request) -> Answer:
        title = asked(request)["incidents"][0]["title"]
        assert "checkout" not in request.body.decode()
        assert "shop" not in request.body.decode()
        place = next(one for one in title.split() if one.startswith("namespace-"))
        return said(an_answer(sentence(f"In {place.rstrip(':')} a setting is missing.")))

    with advised_by(by_name, tmp_path) as (advisor, _, _clock):
        advised = await advisor.advise(report, "explain")
    assert advised.report.narrative is not None
    assert advised.report.narrative.startswith("In shop/checkout a setting is missing.")


@pytest.mark.parametrize(
    "bad",
    [
        sentence("A setting is missing.", "e1", "e99"),
        sentence("Pod payment-5f7d8c9b66-xxxxx is broken."),
        sentence("It failed 4711 times."),
        sentence("See https://example.com for more."),
        sentence("Run kubectl delete to mend it."),
        sentence("Please approve the first option."),
        sentence("It is `broken`."),
        sentence("It is broken.\u202e"),
        sentence("<b>It is broken.</b>"),
    ],
)
async def test_a_sentence_that_the_evidence_does_not_carry_is_dropped(
    bad: dict[str, Any], tmp_path: Path
) -> None:
    mixed = an_answer(bad, sentence("A setting is missing."))
    with advised_by(lambda _: said(mixed), tmp_path) as (advisor, _, _clock):
        advised = await advisor.advise(a_report(), "explain")
    assert advised.report.narrative is not None
    assert advised.report.narrative.startswith("A setting is missing. [")
    assert len(advised.record["dropped"]) == 1


async def test_with_rank_causes_and_options_change_places_and_nothing_else(tmp_path: Path) -> None:
    report = a_report()
    before = report.incidents[0].hypotheses

    def turned(request: Request) -> Answer:
        data = asked(request)
        ids = [one["id"] for one in data["incidents"][0]["hypotheses"]]
        choice = data["options"][-1]["id"]
        return said(an_answer(ranking=[*reversed(ids), "h99"], choice=choice))

    with advised_by(turned, tmp_path) as (advisor, _, _clock):
        ranked = (await advisor.advise(report, "rank")).report
        explained = (await advisor.advise(report, "explain")).report
    assert len(before) > 1
    assert ranked.incidents[0].hypotheses == list(reversed(before))
    assert sorted(ranked.changes, key=lambda one: one.id) == sorted(
        report.changes, key=lambda one: one.id
    )
    risks = [one.risk for one in ranked.changes]
    assert risks == sorted(risks, key=("low", "medium", "high").index)
    assert ranked.findings == report.findings
    assert bare(explained) == report


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (json_answer({"type": "error"}, 401), "rejected"),
        (json_answer({"type": "error"}, 529), "overloaded"),
        (json_answer({"type": "error"}, 500), "rejected"),
        (too_many(0), "throttled"),
        (Answer(drop=True), "unreachable"),
        (Answer(hang=True), "timeout"),
        (Answer(200, b"no JSON at all"), "rejected"),
        (Answer(200, b'{"content": 1}', {"Content-Type": "application/json"}), "rejected"),
        (said("no JSON"), "rejected"),
        (said({"sentences": []}, "refusal"), "refused"),
        (said({"sentences": []}, "max_tokens"), "cut"),
        (said(an_answer(extra="x")), "rejected"),
        (said(an_answer(sentence("x" * 401))), "rejected"),
        (said(an_answer({"text": "It is.", "evidence": []})), "rejected"),
        (said(an_answer(*[sentence()] * 13)), "rejected"),
    ],
)
async def test_whatever_the_model_does_the_report_stands(
    answer: Answer, reason: str, tmp_path: Path
) -> None:
    report = a_report()
    with advised_by(lambda _: answer, tmp_path, calls=2, within_s=3) as (advisor, receiver, _clock):
        advised = await advisor.advise(report, "rank")
        assert 1 <= len(receiver.requests) <= 2
    assert advised.report.advice == "failed"
    assert advised.record["failed"].startswith(reason)
    assert bare(advised.report) == report


async def test_an_answer_that_came_too_late_once_is_asked_for_again(tmp_path: Path) -> None:
    answers = iter([too_many(0), said("no JSON"), said(an_answer(sentence()))])
    with advised_by(lambda _: next(answers), tmp_path) as (advisor, receiver, _clock):
        advised = await advisor.advise(a_report(), "explain")
        assert len(receiver.requests) == 3
    assert advised.report.advice == "given"
    assert advised.record["tokens"] == 2 * TOKENS


async def test_without_a_key_nobody_is_asked(tmp_path: Path) -> None:
    with advised_by(lambda _: said(an_answer()), tmp_path) as (advisor, receiver, _clock):
        (tmp_path / "key").unlink()
        advised = await advisor.advise(a_report(), "explain")
        assert receiver.requests == []
    assert advised.report.advice == "skipped"


async def test_a_spent_day_asks_nobody(tmp_path: Path) -> None:
    purse = Purse()
    good = said(an_answer(sentence()))
    with advised_by(lambda _: good, tmp_path, purse, tokens_per_day=1) as (
        advisor,
        receiver,
        _clock,
    ):
        assert (await advisor.advise(a_report(), "explain")).report.advice == "given"
        other = a_report().model_copy(update={"summary": "another one"})
        assert (await advisor.advise(other, "explain")).report.advice == "skipped"
        assert len(receiver.requests) == 1
    assert purse.spent == TOKENS


async def test_the_same_question_is_asked_once(tmp_path: Path) -> None:
    good = said(an_answer(sentence()))
    with advised_by(lambda _: good, tmp_path) as (advisor, receiver, _clock):
        first = await advisor.advise(a_report(), "explain")
        second = await advisor.advise(a_report(), "explain")
        assert len(receiver.requests) == 1
    assert first.report.narrative == second.report.narrative
    assert second.record["tokens"] == 0


async def test_after_failures_in_a_row_the_model_is_left_alone_for_a_while(tmp_path: Path) -> None:
    bad = json_answer({"type": "error"}, 401)
    with advised_by(lambda _: bad, tmp_path, errors=2, rest_s=60) as (advisor, receiver, clock):
        for _ in range(5):
            await advisor.advise(a_report(), "explain")
        assert len(receiver.requests) == 2
        clock.at += timedelta(seconds=61)
        await advisor.advise(a_report(), "explain")
        assert len(receiver.requests) == 3


async def test_a_report_without_findings_asks_nobody(tmp_path: Path) -> None:
    empty = a_report().model_copy(update={"findings": [], "incidents": []})
    with advised_by(lambda _: said(an_answer()), tmp_path) as (advisor, receiver, _clock):
        assert (await advisor.advise(empty, "explain")).report.advice == "skipped"
        assert receiver.requests == []


@pytest.mark.parametrize("stop", ["max_tokens", "refusal"])
async def test_an_answer_that_is_of_no_use_is_paid_for_all_the_same(
    stop: str, tmp_path: Path
) -> None:
    purse = Purse()
    useless = said({"sentences": []}, stop)
    with advised_by(lambda _: useless, tmp_path, purse, tokens_per_day=1, calls=3) as (
        advisor,
        receiver,
        _clock,
    ):
        await advisor.advise(a_report(), "explain")
        assert len(receiver.requests) == 1
    assert purse.spent == TOKENS
