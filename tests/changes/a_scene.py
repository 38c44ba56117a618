"""A scene of the change path: a real store, a cluster at its port, a policy, and a clock."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from engine.changes.asking import asks
from engine.changes.drive import advance
from engine.changes.means import Means
from engine.changes.policy import Policy, judge, load_policy, needed
from engine.model.change import Draft
from engine.model.change_row import ChangeRow, Decision, Verdict
from engine.model.change_state import ChangeState
from engine.model.delivery import Receipt
from engine.model.report import ObjectRef
from engine.store.store import Store
from tests.changes.a_cluster import SICK, ACluster
from tests.store.rows import NOON, Hand, a_report, a_run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.model.delivery import Delivery, Occasion
    from engine.model.ports import Writer

POLICY = """\
users:
  ada: {email: ada@example.com}
  bo: {email: bo@example.com}
  di: {email: di@example.com}
groups: {sre: [ada, bo], guests: [di]}
approvers:
  - {risks: [safe, disruptive], groups: [sre]}
  - {risks: [destructive, lockout-capable], groups: [sre], people: 2}
"""
AUTOMATIC = """\
automatic:
  undo: {rules: [crash-loop], templates: [rollback, scale], risk: disruptive}
"""
FOREVER = timedelta(days=400)


@dataclass
class Scene:
    """Everything round `advance`, and the hands to turn it."""

    folder: Path
    policy: Policy | None = field(default_factory=lambda: load_policy("p.yaml", POLICY))
    clock: Hand = field(default_factory=Hand)
    number: int = 0
    epoch: int = 0

    def __post_init__(self) -> None:
        self.store = Store.open(self.folder / "store.db", clock=self.clock)
        self.cluster = self.a_cluster()
        self._told: list[Delivery] = []
        self.started()

    def a_cluster(self) -> ACluster:
        """Return the cluster to change."""
        return ACluster(self.clock)

    def started(self) -> None:
        """Let a new writer start, once the one before is gone: it knows nothing."""
        self.store.give_back("writer", f"w-{self.epoch}")
        epoch = self.store.acquire("writer", f"w-{self.epoch + 1}", FOREVER.total_seconds())
        assert epoch is not None
        self.epoch = epoch
        self.means = Means(
            ledger=self.store,
            proposer=lambda _: self.port("proposer"),
            writer=lambda _, kind: self.port(f"writer of {kind}"),
            look=self.cluster.look,
            assess=self.cluster.assess,
            policy=lambda: self.policy,
            asks=self.asks,
            clock=self.clock,
        )

    def port(self, who: str) -> Writer:
        """Return the cluster as one identity sees it."""
        return self.cluster.port(who)

    def asks(self, row: ChangeRow, occasion: Occasion, now: datetime) -> Sequence[Delivery]:
        """Tell the sinks of the change."""
        assert self.policy is not None
        return asks(row, occasion, now, url="", needed=needed(self.policy, row))

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    # -- what happens -------------------------------------------------------------------

    def drafted(self, template: str = "rollback", /, **fields: Any) -> str:
        """Let a mission propose something; return the id of the change."""
        self.number += 1
        change, mission = f"c-{self.number}", f"m-{self.number}"
        live = self.live(fields.pop("kind", "Deployment"), fields.pop("name", "web"))
        own = {name: fields.pop(name) for name in ("params", "findings") if name in fields}
        draft = self.draft_of(change, template, live, **own)
        given = {"rule": "crash-loop", "requester": "rule:crash-loop", "sinks": ("chat",)}
        row = ChangeRow(change, mission, draft, self.clock.now(), **{**given, **fields})
        self.store.add_mission(replace(a_run(mission), created=self.clock.now()))
        claimed = self.store.claim_mission("local/worker-0", self.clock.now(), mission)
        assert claimed is not None
        now = self.clock.now()
        report = a_report(mission)
        self.store.wait(mission, report, [row], [], now, now + FOREVER, epoch=claimed.epoch)
        return change

    def live(self, kind: str, name: str) -> Any:
        """Return an object as it is."""
        return self.cluster.get(kind, name)

    def draft_of(self, change: str, template: str, live: Any, **fields: Any) -> Draft:
        """Return a draft about an object."""
        target = ObjectRef(
            cluster="east",
            api_version=live["apiVersion"],
            kind=live["kind"],
            namespace=live["metadata"].get("namespace", ""),
            name=live["metadata"]["name"],
            uid=live["metadata"]["uid"],
        )
        return Draft(
            id=change,
            template=template,
            target=target,
            params=fields.get("params", {}),
            findings=fields.get("findings", [SICK] if template == "rollback" else []),
            title=f"{template} {target.name}",
            kind="incident-response",
        )

    async def turn(self, change: str) -> ChangeRow:
        """Let the writer look at a change."""
        await advance(self.at(change), self.means, epoch=self.epoch)
        return self.at(change)

    async def ran(self, change: str, *states: ChangeState, turns: int = 300) -> ChangeRow:
        """Let the writer look whenever it is due, until the change is in one of `states`.

        Without `states` until its end. Time passes as it has to.
        """
        for _ in range(turns):
            row = await self.turn(change)
            if row.state.final or row.state in states:
                return row
            if row.next_at is not None and row.next_at > self.clock.at:
                self.clock.at = row.next_at
        raise AssertionError(f"{change} does not get on: {self.at(change)}")

    def decide(self, change: str, who: str = "ada", **fields: Any) -> ChangeRow:
        """Let a person decide. Raises Refused."""
        row = self.at(change)
        policy = self.policy
        assert policy is not None
        given = {"digest": row.digest, "verdict": Verdict.APPROVE, "via": "cli"}
        decision = Decision(change=change, who=who, at=self.clock.now(), **{**given, **fields})
        now = self.clock.now()
        return self.store.decide(decision, lambda seen: judge(policy, seen, now), now)

    async def approved(self, template: str = "rollback", /, **fields: Any) -> str:
        """Let a mission propose something, and a person approve it."""
        change = self.drafted(template, **fields)
        row = await self.ran(change, ChangeState.AWAITING)
        assert row.state is ChangeState.AWAITING, row.reason
        self.decide(change)
        return change

    # -- what is to be seen -------------------------------------------------------------

    def at(self, change: str) -> ChangeRow:
        """Return a change as it is."""
        row = self.store.change(change)
        assert row is not None
        return row

    def path(self, change: str) -> list[str]:
        """Return the states that a change came to, in order."""
        told = self.store.audit(change=change, limit=1000)
        return [one.to for one in told if one.frm != one.to]

    def told(self) -> list[Delivery]:
        """Return what the sink `chat` was told so far, in order."""
        while due := self.store.due("chat", self.clock.now()):
            for one in due:
                self.store.sent(one.key, Receipt(), self.clock.now())
                self._told.append(one)
        return self._told


def run(coroutine: Any) -> Any:
    """Run to its end, for tests that are not asynchronous."""
    return asyncio.run(coroutine)


START = NOON
