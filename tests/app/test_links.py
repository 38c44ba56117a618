"""A link in a mail over a real store: its person decides once, however often it is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette

from engine.app.deciding import Desk
from engine.app.policy_file import read_policy
from engine.changes.asking import ask_of
from engine.changes.policy import needed
from engine.model.change import Risk
from engine.model.change_state import ChangeState
from engine.model.ports import SystemClock
from engine.web.links import LinkPorts, routes, signer
from tests.app.office import Office, offices

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = b"k" * 32


@pytest.fixture(params=["sqlite", "postgres"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    yield from offices(request, tmp_path)


@pytest.mark.parametrize(
    ("risk", "state"),
    [(Risk.DISRUPTIVE, ChangeState.APPROVED), (Risk.LOCKOUT, ChangeState.AWAITING)],
)
async def test_a_link_is_one_decision_however_often_it_is_sent(
    risk: Risk, state: ChangeState, office: Office
) -> None:
    (row,) = office.ask("web", risk=risk)
    policy = read_policy(office.settings.changes.policy_file or "", office.settings)
    clock = SystemClock()
    desk = Desk(office.store, lambda: policy, lambda _: (), clock)
    ports = LinkPorts(
        desk, clock, lambda: [KEY], office.store.change, lambda one: needed(policy, one)
    )
    asked = ask_of(row, clock.now(), url="http://web", needed=needed(policy, row))
    url = signer(lambda: [KEY], "http://web", lambda _: True)(asked, "cay@example.com")
    transport = httpx.ASGITransport(Starlette(routes=routes(ports)))
    async with httpx.AsyncClient(transport=transport) as client:
        sent = [client.post(url, data={"verdict": verdict}) for verdict in ["approve"] * 3]
        answers = [one.status_code for one in await asyncio.gather(*sent)]
        late = await client.post(url, data={"verdict": "deny"})
    assert sorted(answers) == [200, 409, 409]
    assert late.status_code == 409
    after = office.scene.at("c-web")
    assert after.state is state
    assert [(one.who, one.via) for one in after.decisions] == [("cay", "email")]
