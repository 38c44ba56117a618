"""A stand-in for the model: a real HTTP server that answers in the shape of the messages API."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from engine.advisor.advise import Advisor
from engine.advisor.settings import AdvisorConfig
from engine.cluster import recorded
from engine.missions.run import prepare
from tests.test_project import ROOT
from tests.testbeds.receiver import Answer, Receiver, Request, json_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.model.report import Report

RECORDING = ROOT / "engine/app/recording"
TOKENS = 1234
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
KEY = "a-key-of-the-stand-in"


class Noon:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at


class Purse:
    """Counts tokens by day, in memory."""

    def __init__(self, spent: int = 0) -> None:
        self.spent = spent

    def model_tokens(self, day: str) -> int:
        assert day == "2026-12-01"
        return self.spent

    def add_model_tokens(self, day: str, tokens: int) -> None:
        assert day == "2026-12-01"
        self.spent += tokens


def a_report() -> Report:
    """Return the report of incident-response over the recorded cluster."""
    kind, params = prepare("incident-response", {})
    return kind.run(recorded.load(RECORDING), params, NOON)


def said(answer: Any, stop: str = "end_turn") -> Answer:
    """Return a message of the model that holds `answer`: JSON, or a text as it is."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return json_answer(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "stand-in",
            "content": [{"type": "text", "text": text}],
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {"input_tokens": TOKENS - 34, "output_tokens": 34},
        }
    )


def asked(request: Request) -> dict[str, Any]:
    """Return the data that a question holds."""
    text = request.json()["messages"][0]["content"]
    found: dict[str, Any] = json.loads(text.removeprefix("<data>").removesuffix("</data>"))
    return found


@contextmanager
def advised_by(
    answer: Callable[[Request], Answer], folder: Path, purse: Purse | None = None, **settings: Any
) -> Iterator[tuple[Advisor, Receiver, Noon]]:
    """Give an advisor whose model answers by `answer`."""
    key = folder / "key"
    key.write_text(f"{KEY}\n")
    clock = Noon()
    with Receiver(answer) as receiver:
        config = AdvisorConfig(key_file=str(key), base_url=receiver.url, **settings)
        yield Advisor(config, purse or Purse(), clock), receiver, clock
