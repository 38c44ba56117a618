"""Receivers in trouble: each delivery arrives once they are well, with one key, in order."""

from __future__ import annotations

import json
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.lab import RULES, Lab, a_hook, a_lab
from tests.testbeds.process import eventually, reserve_port
from tests.testbeds.receiver import Answer, Receiver, too_many

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def second() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, second: Receiver) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("receivers")
    with a_lab(folder, sinks={"second": a_hook(second, timeout_s=1.0)}) as lab:
        yield lab


@pytest.fixture
def lab(shared: Lab) -> Iterator[Lab]:
    yield shared
    dead = dead_letters(shared)
    if dead:
        shared.dogwatch.command("dlq", "drop", *(row["key"] for row in dead))


def dead_letters(lab: Lab) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        lab.dogwatch.command("dlq", "list", "--output", "json")
    )
    return found


def attempts(receiver: Receiver, subject: str) -> list[str]:
    """Return the keys of all requests about `subject`, in order of arrival."""
    bodies = [request.json()["data"] for request in receiver.requests]
    return [body["key"] for body in bodies if body["group"].get("subject") == subject]


def await_attempts(receiver: Receiver, subject: str, number: int) -> list[str]:
    found = eventually(
        lambda: keys if len(keys := attempts(receiver, subject)) >= number else None, 30
    )
    assert found, (subject, attempts(receiver, subject))
    return found


def test_a_400_is_a_dead_letter_at_once_told_by_another_sink_and_can_be_replayed(
    lab: Lab, second: Receiver
) -> None:
    second.script(Answer(400))
    lab.fire("rejected")
    lab.await_told("fire", "rejected")
    (key,) = await_attempts(second, "rejected", 1)
    dead = eventually(lambda: dead_letters(lab) or None, 10)
    assert dead is not None
    assert [(row["key"], row["sink"], row["attempts"]) for row in dead] == [(key, "second", 1)]
    assert "400" in dead[0]["reason"]
    notices = eventually(
        lambda: (
            [t for t in lab.told("fire") if t["rule"] == "dead-letter" and key in t["text"]] or None
        ),
        10,
    )
    assert notices is not None
    assert [notice["sink"] for notice in notices] == ["hook"]

    assert "1 waiting again" in lab.dogwatch.command("dlq", "replay", key)
    assert await_attempts(second, "rejected", 2) == [key, key]
    assert eventually(lambda: dead_letters(lab) == [] or None, 10)


def test_a_dead_letter_can_be_dropped(lab: Lab, second: Receiver) -> None:
    second.script(Answer(404))
    lab.fire("dropped")
    (key,) = await_attempts(second, "dropped", 1)
    assert eventually(lambda: dead_letters(lab) or None, 10)
    assert "1 dropped" in lab.dogwatch.command("dlq", "drop", key)
    assert dead_letters(lab) == []
    assert len(attempts(second, "dropped")) == 1


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("500", Answer(500)),
        ("503", Answer(503)),
        ("reset", Answer(drop=True)),
        ("slow", Answer(delay_s=3.0)),
    ],
)
def test_trouble_that_passes_ends_in_a_delivery_with_the_same_key(
    lab: Lab, second: Receiver, name: str, answer: Answer
) -> None:
    second.script(answer)
    lab.fire(name)
    lab.await_told("fire", name, 5)
    keys = await_attempts(second, name, 2)
    assert len(set(keys)) == 1
    lab.await_metric("outbox_pending", 0, sink="second")
    assert dead_letters(lab) == []


def test_a_429_is_obeyed_for_as_long_as_it_asks(lab: Lab, second: Receiver) -> None:
    second.script(too_many(4))
    lab.fire("throttled")
    await_attempts(second, "throttled", 2)
    first, again = (
        request.at
        for request in second.requests
        if request.json()["data"]["group"].get("subject") == "throttled"
    )
    assert 4.0 <= again - first < 12.0


def test_a_receiver_that_is_gone_gets_all_in_order_once_it_is_back_and_others_never_wait(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        port = reserve_port(stack)
        gone = {
            "type": "webhook",
            "url": f"http://127.0.0.1:{port}/gone",
            "secret_file": "secret",
            "allow_loopback_http": True,
        }
        lab = stack.enter_context(a_lab(tmp_path, sinks={"gone": gone}))
        subjects = [f"room-{number}" for number in range(6)]
        for subject in subjects:
            lab.fire(subject)
            lab.await_told("fire", subject, 5)
        lab.dogwatch.write_rules(RULES.replace("> 40", "> 41"))
        for subject in subjects:
            lab.await_told("resolve", subject, 10)
        lab.await_metric("outbox_pending", 12, sink="gone")
        back = stack.enter_context(Receiver(port=port))
        assert eventually(lambda: len(back.requests) >= 12 or None, 60), len(back.requests)
        bodies = [request.json()["data"] for request in back.requests]
        for subject in subjects:
            own = [b["change"] for b in bodies if b["group"]["subject"] == subject]
            assert own == ["fire", "resolve"]
        assert len({body["key"] for body in bodies}) == len(bodies) == 12


def test_a_receiver_that_hangs_for_ever_keeps_no_other_waiting_nor_the_end(
    lab: Lab, second: Receiver
) -> None:
    second.script(*[Answer(hang=True)] * 3)
    for number in range(3):
        lab.fire(f"hang-{number}")
        lab.await_told("fire", f"hang-{number}", 5)
    for number in range(3):
        await_attempts(second, f"hang-{number}", 1)
    lab.await_metric("outbox_pending", 0, sink="second")
    found = [attempts(second, f"hang-{number}") for number in range(3)]
    assert sum(map(len, found)) == 6
    assert [len(set(keys)) for keys in found] == [1, 1, 1]


def test_while_a_sink_is_down_it_is_tried_at_most_once_a_second(lab: Lab, second: Receiver) -> None:
    start = len(second.requests)
    second.script(*[Answer(500)] * 5)
    lab.fire(*(f"many-{number}" for number in range(10)))
    for number in range(10):
        await_attempts(second, f"many-{number}", 1)
    times = [request.at for request in second.requests[start : start + 6]]
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) >= 0.95, gaps
