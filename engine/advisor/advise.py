"""Advise: ask, check, ground, and add what is left to the report; whatever happens, a report."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, Literal

import structlog
from pydantic import ValidationError

from engine import failpoint, meters
from engine.advisor.answer import Answer, Sentence
from engine.advisor.client import ModelError, Reply, ask
from engine.advisor.grounding import grounded
from engine.advisor.question import SYSTEM, Question, ask_about
from engine.advisor.settings import AdvisorConfig
from engine.failpoint import Point
from engine.model.advice import Advised, Tally
from engine.model.errors import StoreError
from engine.model.ports import Clock
from engine.model.report import Report
from engine.report.words import RISK_ORDER

LOG = structlog.get_logger()
REMEMBERED: Final = 200
"""Answers kept by question: a group of firings is explained once."""


class Advisor:
    """Asks the model that `config` names; `tally` counts tokens over all processes."""

    def __init__(self, config: AdvisorConfig, tally: Tally, clock: Clock) -> None:
        self._config = config
        self._tally = tally
        self._clock = clock
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._failures = 0
        self._rests_until = 0.0

    async def advise(self, report: Report, level: str) -> Advised:
        """Return `report` with what the model adds, marked by `advice`; never raises for it.

        Args:
            report: the deterministic result; its findings, changes and outcome stay.
            level: explain, or rank: then causes and options may change places as well.
        """
        if not report.findings:
            return _without(report, "skipped", "there is nothing to explain")
        question = ask_about(report)
        try:
            answer, record = await self._answered(question)
        except ModelError as error:
            word: Literal["skipped", "failed"] = "skipped" if error.reason in _SKIPS else "failed"
            meters.MODEL_REQUESTS.labels(error.reason).inc()
            LOG.info("no advice", reason=error.reason, why=str(error))
            return _without(report, word, f"{error.reason}: {error}", question)
        kept, dropped = grounded(answer.sentences, question)
        record |= {"kept": len(kept), "dropped": [drop.value for drop in dropped]}
        advised = report.model_copy(
            update={"advice": "given", "narrative": _narrative(kept, question)}
        )
        if level == "rank":
            advised = _ranked(advised, answer, question)
        return Advised(advised, record | _exchange(question))

    async def _answered(self, question: Question) -> tuple[Answer, dict[str, Any]]:
        """Return a valid answer, and what it took. Raises ModelError."""
        known = self._answers.get(question.digest)
        if known is not None:
            self._answers.move_to_end(question.digest)
            meters.MODEL_REQUESTS.labels("remembered").inc()
            return known, {"tokens": 0, "calls": 0, "model": self._config.model}
        if self._clock.now().timestamp() < self._rests_until:
            raise ModelError("resting", "it failed too often lately", again=False)
        try:
            answer, tokens, calls = await self._asked(question)
        except ModelError as error:
            if error.reason not in _SKIPS:
                self._failed()
            raise
        self._failures = 0
        self._answers[question.digest] = answer
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        return answer, {"tokens": tokens, "calls": calls, "model": self._config.model}

    async def _asked(self, question: Question) -> tuple[Answer, int, int]:
        """Ask until there is a valid answer, within the bounds of one mission."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._config.within_s
        spent = 0
        last = ModelError("timeout", "no time left", again=False)
        for call in range(1, self._config.calls + 1):
            left_s = end - loop.time()
            if left_s <= 0:
                break
            try:
                reply = await self._ask(question, left_s)
                spent += reply.tokens
                return _valid(reply), spent, call
            except ModelError as error:
                last = error
                if not error.again or loop.time() + error.wait_s >= end:
                    break
                await asyncio.sleep(error.wait_s)
        raise last

    async def _ask(self, question: Question, left_s: float) -> Reply:
        day = self._clock.now().date().isoformat()
        try:
            spent = await asyncio.to_thread(self._tally.model_tokens, day)
            if spent >= self._config.tokens_per_day:
                raise ModelError("budget", "the tokens of this day are spent", again=False)
            return await self._counted(question, left_s, day)
        except StoreError as error:
            why = f"what was spent is not known: {error}"
            raise ModelError("budget", why, again=False) from error

    async def _counted(self, question: Question, left_s: float, day: str) -> Reply:
        """Ask once, and count what it cost, whatever came of it."""
        tokens = 0
        try:
            with failpoint.around(Point.MODEL_ASKED):
                reply = await ask(self._config, question, left_s)
            tokens = reply.tokens
        except ModelError as error:
            tokens = error.tokens
            raise
        finally:
            if tokens:
                meters.MODEL_TOKENS.inc(tokens)
                await asyncio.to_thread(self._tally.add_model_tokens, day, tokens)
        meters.MODEL_REQUESTS.labels("answered").inc()
        return reply

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= self._config.errors:
            self._rests_until = self._clock.now().timestamp() + self._config.rest_s
            self._failures = 0


_SKIPS: Final = frozenset({"no-key", "budget", "resting"})
"""Reasons for which nobody was asked."""


def _valid(reply: Reply) -> Answer:
    try:
        return Answer.model_validate_json(reply.text)
    except ValidationError as error:
        why = f"an answer that does not fit: {error.error_count()} faults"
        raise ModelError("rejected", why, again=True) from error


def _without(report: Report, word: str, why: str, question: Question | None = None) -> Advised:
    record = {"failed": why} | (_exchange(question) if question else {})
    return Advised(report.model_copy(update={"advice": word}), record)


def _exchange(question: Question) -> dict[str, Any]:
    return {"system": SYSTEM, "prompt": question.text}


def _narrative(kept: Sequence[Sentence], question: Question) -> str | None:
    """Return the sentences with the names put back, each with the ids of its evidence."""
    said = []
    for one in kept:
        cited = ", ".join(dict.fromkeys(question.evidence[id_] for id_ in one.evidence))
        said.append(f"{question.names.show(one.text.strip())} [{cited}]")
    return " ".join(said) or None


def _ranked(report: Report, answer: Answer, question: Question) -> Report:
    """Return `report` with causes in the model's order, and its choice first within its risk.

    Nothing is added or taken away; what the model did not name keeps its place behind.
    """
    places = {question.hypotheses[id_]: at for at, id_ in _known(answer.ranking, question)}
    incidents = [
        one.model_copy(
            update={
                "hypotheses": [
                    found
                    for _, found in sorted(
                        enumerate(one.hypotheses),
                        key=lambda pair: (places.get((number, pair[0]), len(places)), pair[0]),
                    )
                ]
            }
        )
        for number, one in enumerate(report.incidents)
    ]
    choice = question.options.get(answer.choice, "")
    first = {one.risk: one.id == choice for one in report.changes if one.id == choice}
    changes = sorted(
        report.changes,
        key=lambda one: (
            RISK_ORDER.index(one.risk),
            first.get(one.risk, False) and one.id != choice,
        ),
    )
    return report.model_copy(update={"incidents": incidents, "changes": changes})


def _known(ranking: Sequence[str], question: Question) -> list[tuple[int, str]]:
    return list(enumerate(dict.fromkeys(id_ for id_ in ranking if id_ in question.hypotheses)))
