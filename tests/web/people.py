"""Our own ports of the pages, filled by hand: two users, one change, one mission."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from engine.changes.policy.policy import User
from engine.model.change import Risk
from engine.model.change_row import ChangeRow, Decision, Freeze, Verdict
from engine.model.change_state import ChangeState
from engine.model.errors import DogwatchError, Refused
from engine.web.ports import Decided, Order, People
from engine.web.views import (
    Asking,
    AuditView,
    ChangeLine,
    ChangeView,
    ClusterView,
    MissionLine,
    MissionView,
    RuleLine,
    RuleView,
    SinkView,
    Station,
    WorkedOut,
    WriteLine,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.changes.policy.policy import Policy
    from engine.model.mission import MissionState

from tests.web.shown import (
    FINDING,
    HOSTILE,
    NOON,
    REPORT,
    a_mission_line,
    a_row,
    a_rule,
    a_rule_line,
    an_entry,
)

KEY = b"k" * 32
ALICE_TOKEN = "alice-" + "a" * 32
BOB_TOKEN = "bob-" + "b" * 32
ALICE = User(
    "alice",
    ("sre",),
    "alice@example.com",
    ("T1", "U1"),
    token_sha256=sha256(ALICE_TOKEN.encode()).hexdigest(),
)
BOB = User("bob", ("dev",), token_sha256=sha256(BOB_TOKEN.encode()).hexdigest())


@dataclass
class Watch:
    """A clock that stands still until it is moved on."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at


@dataclass
class Inside:
    """What stands behind the pages: desk, pages and orders in one."""

    row: ChangeRow = field(default_factory=a_row)
    clock: Watch = field(default_factory=Watch)
    users: list[User] = field(default_factory=lambda: [ALICE, BOB])
    policy: Policy | None = None
    frozen: list[Freeze] = field(default_factory=list)
    ordered: list[tuple[str, str, object]] = field(default_factory=list)
    fault: DogwatchError | None = None

    def people(self) -> People:
        return People(self, self, self, self.clock, KEY)

    # the desk

    def user_of_token(self, token: str) -> User | None:
        given = sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        return next((one for one in self.users if one.token_sha256 == given), None)

    def user_of_slack(self, team: str, id: str) -> User | None:  # noqa: A002 - as the port
        return next((one for one in self.users if one.slack == (team, id)), None)

    def user_of_email(self, address: str) -> User | None:
        return next((one for one in self.users if one.email == address), None)

    def user_named(self, name: str) -> User | None:
        return next((one for one in self.users if one.name == name), None)

    async def decide(
        self,
        user: User,
        change: str,
        digest: str,
        verdict: Verdict,
        *,
        via: str,
        typed: str = "",
        comment: str = "",
    ) -> Decided:
        if change != self.row.id or digest != self.row.digest:
            raise Refused("the change is another one by now")
        if self.row.state is not ChangeState.AWAITING:
            raise Refused(f"the change is {self.row.state} already")
        if self._typed() not in {"", typed}:
            raise Refused("the name was not typed")
        decision = Decision(
            change=change,
            digest=digest,
            who=user.name,
            verdict=verdict,
            via=via,
            at=self.clock.at,
            typed=typed,
            comment=comment,
        )
        approved = verdict is Verdict.APPROVE
        state = ChangeState.APPROVED if approved else ChangeState.REJECTED
        self.row = replace(self.row, decisions=(*self.row.decisions, decision), state=state)
        return Decided(self.row, f"The change is {state}.")

    async def once(self, nonce: str, until: datetime) -> bool:
        return True

    def _typed(self) -> str:
        destructive = self.row.change is not None and self.row.change.risk is Risk.DESTRUCTIVE
        return self.row.draft.target.name if destructive else ""

    # the pages

    def missions(self, states: Sequence[MissionState], kind: str, limit: int) -> list[MissionLine]:
        self._trouble()
        return [a_mission_line()]

    def mission(self, mission: str) -> MissionView | None:
        self._trouble()
        if mission != "m-1":
            return None
        line = a_mission_line().model_dump()
        return MissionView(
            **line,
            params={"namespace": "shop"},
            key={"namespace": "shop", "workload": "web"},
            firing="f-1",
            requester="rule:crash-loop",
            approval="person",
            crashes=0,
            started=NOON,
            wake_at=NOON + timedelta(hours=4),
            report=REPORT,
            changes=[self._line()],
            path=[
                Station(noun="signal", id="s-1", at=NOON, depth=0, text=f"k8s.event {HOSTILE}"),
                Station(noun="firing", id="f-1", at=NOON, depth=1, text="crash-loop is firing"),
                Station(noun="mission", id="m-1", at=NOON, depth=2, text="incident-response"),
            ],
        )

    def changes(self, states: Sequence[ChangeState], mission: str, limit: int) -> list[ChangeLine]:
        self._trouble()
        return [self._line()] if not states or self.row.state in states else []

    def change(self, change: str, user: User | None) -> ChangeView | None:
        self._trouble()
        row = self.row
        if change != row.id or row.change is None:
            return None
        no = "" if user and "sre" in user.groups else "bob is in none of the groups sre"
        return ChangeView(
            **self._line().model_dump(),
            params={},
            work=WorkedOut(
                reversible=row.change.reversible,
                why_reversible=row.change.why_reversible,
                writes=[WriteLine(verb="patch", object="Deployment shop/web", wave=0)],
                rollback=[WriteLine(verb="patch", object="Deployment shop/web", wave=0)],
                preconditions=row.change.preconditions,
                probes=[one.name for one in row.change.probes],
                window_s=600,
                diff=row.change.diff,
                lines=row.change.lines,
                blast=row.change.blast,
                notes=row.change.notes,
            ),
            kind="incident-response",
            rule="crash-loop",
            requester=row.requester,
            mode=row.mode,
            why="The rule crash-loop fired at 11:50; web restarts for ever.",
            findings=[FINDING],
            asking=Asking(
                people=1, groups=["sre"], typed=self._typed(), no_approval=no, no_denial=no
            ),
            decisions=list(row.decisions),
            results=[],
            written=[],
            objects=[],
            audit=[an_entry(2, "proposed", "awaiting"), an_entry(1, "draft", "proposed")],
        )

    def _line(self) -> ChangeLine:
        row = self.row
        return ChangeLine(
            id=row.id,
            mission=row.mission,
            title=row.draft.title,
            template=row.draft.template,
            state=row.state.value,
            reason="1 of sre is asked",
            risk=row.change.risk.value if row.change else "",
            cluster="lab",
            target="Deployment shop/web",
            created=row.created,
            changed=NOON,
            expires=row.expires,
            digest=row.digest,
            decided=[one.who for one in row.decisions if one.verdict is Verdict.APPROVE],
        )

    def rules(self) -> list[RuleLine]:
        return [a_rule_line()]

    def rule(self, name: str, key: str) -> RuleView | None:
        if name != "crash-loop":
            return None
        return a_rule(key)

    def sinks(self) -> list[SinkView]:
        return [
            SinkView(
                name="slack", type="slack", waiting=3, since=NOON, given_up=1, error="410 gone"
            )
        ]

    def clusters(self) -> list[ClusterView]:
        return [
            ClusterView(
                name="lab",
                groups=["test"],
                labels={"tier": "dev"},
                writable=True,
                problem="unreachable: no route to host",
                open=2,
                missions=1,
                frozen=False,
            )
        ]

    def freezes(self) -> list[Freeze]:
        return self.frozen

    def audit(self, mission: str, change: str, limit: int) -> AuditView:
        entries = [an_entry(2, "proposed", "awaiting"), an_entry(1, "draft", "proposed")]
        return AuditView(count=2, fault="", checked=NOON, entries=entries)

    def _trouble(self) -> None:
        if self.fault is not None:
            raise self.fault

    # the orders

    def run(self, user: User, order: Order) -> MissionLine:
        if order.kind != "incident-response":
            raise DogwatchError(f"unknown kind '{order.kind}'")
        self.ordered.append((user.name, "run", order))
        return a_mission_line()

    def cancel(self, user: User, mission: str) -> MissionLine:
        self.ordered.append((user.name, "cancel", mission))
        return a_mission_line()

    def resume(self, user: User, mission: str) -> MissionLine:
        raise Refused("the mission is waiting, not failed")

    def freeze(self, user: User, scope: str, reason: str, for_s: float | None) -> Freeze:
        until = None if for_s is None else self.clock.at + timedelta(seconds=for_s)
        self.frozen = [Freeze(scope, user.name, reason, self.clock.at, until)]
        return self.frozen[0]

    def thaw(self, user: User, scope: str) -> bool:
        before = len(self.frozen)
        self.frozen = [one for one in self.frozen if one.scope != scope]
        return len(self.frozen) < before
