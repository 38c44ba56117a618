"""A desk that counts: what was decided there, and what was remembered."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from engine.changes.policy import Policy, User
from engine.model.change_row import ChangeRow, Verdict
from engine.model.errors import DogwatchError, Refused
from engine.web.ports import Decided
from tests.changes.test_asking import a_row

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
ADA = User("ada", ("sre",), "ada@example.com", ("T024BE7LD", "U061F7AUR"))


class Taken(NamedTuple):
    """One decision as it came to the desk."""

    who: str
    change: str
    digest: str
    verdict: Verdict
    via: str
    typed: str = ""
    comment: str = ""


@dataclass
class Hand:
    """A clock that is set by hand."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@dataclass
class CountingDesk:
    """Takes the first decision on the change it holds; refuses what the store would refuse."""

    row: ChangeRow = field(default_factory=a_row)
    taken: list[Taken] = field(default_factory=list)
    asked: int = 0
    used: set[str] = field(default_factory=set)
    fault: DogwatchError | None = None
    open: asyncio.Event | None = None
    policy: Policy | None = None

    def user_of_token(self, token: str) -> User | None:
        return None

    def user_of_slack(self, team: str, id: str) -> User | None:  # noqa: A002
        return ADA if (team, id) == ADA.slack else None

    def user_of_email(self, address: str) -> User | None:
        return ADA if address == ADA.email else None

    def user_named(self, name: str) -> User | None:
        return ADA if name == ADA.name else None

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
        self.asked += 1
        if self.open is not None:
            await self.open.wait()
        if self.fault is not None:
            raise self.fault
        if change != self.row.id:
            raise Refused(f"there is no change {change}")
        if digest != self.row.digest:
            raise Refused("what you decided on is not what would be done by now")
        if self.taken:
            raise Refused(f"it is {self.taken[0].verdict} by {self.taken[0].who} already")
        self.taken.append(Taken(user.name, change, digest, verdict, via, typed, comment))
        return Decided(self.row, f"You said {verdict} to {self.row.draft.title}.")

    async def once(self, nonce: str, until: datetime) -> bool:
        if self.fault is not None:
            raise self.fault
        fresh = nonce not in self.used
        self.used.add(nonce)
        return fresh
