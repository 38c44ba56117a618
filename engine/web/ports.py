"""What the pages for people ask of the engine: who decides, what there is to see, orders."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from pydantic import Field

from engine.model.change_row import ChangeRow, Freeze, Verdict
from engine.model.change_state import ChangeState
from engine.model.config import Config
from engine.model.mission import MissionState
from engine.model.ports import Clock
from engine.web.views import (
    AuditView,
    ChangeLine,
    ChangeView,
    ClusterView,
    MissionLine,
    MissionView,
    RuleLine,
    RuleView,
    SinkView,
)

if TYPE_CHECKING:
    from engine.changes.policy.policy import Policy, User

ALL = "all"
CLUSTER = "cluster/"
KEY_BYTES = 32
"""The least length of the key that signs sessions."""


class Decided(NamedTuple):
    """The change after a decision, and a sentence for who decided."""

    row: ChangeRow
    text: str


class Desk(Protocol):
    """Knows the users of the policy in force, and takes their decisions."""

    @property
    def policy(self) -> "Policy | None":
        """Return the policy in force; None: nobody is known and nothing is changed."""
        ...

    def user_of_token(self, token: str) -> "User | None":
        """Return whose token this is."""
        ...

    def user_of_slack(self, team: str, id: str) -> "User | None":  # noqa: A002 - Slack's word
        """Return who this member of a Slack team is."""
        ...

    def user_of_email(self, address: str) -> "User | None":
        """Return whose address this is."""
        ...

    def user_named(self, name: str) -> "User | None":
        """Return the user of this name, as long as the policy has one."""
        ...

    async def decide(  # noqa: PLR0913 - a decision has that many parts
        self,
        user: "User",
        change: str,
        digest: str,
        verdict: Verdict,
        *,
        via: str,
        typed: str = "",
        comment: str = "",
    ) -> Decided:
        """Take a decision on exactly `digest`. Raises Refused with a sentence that says why not."""
        ...

    async def once(self, nonce: str, until: datetime) -> bool:
        """Return whether `nonce` comes for the first time."""
        ...


class Pages(Protocol):
    """All there is to see. Calls block, and come from threads; all raise StoreError."""

    def missions(self, states: Sequence[MissionState], kind: str, limit: int) -> list[MissionLine]:
        """Return the newest missions, those in `states` and of `kind` where given."""
        ...

    def mission(self, mission: str) -> MissionView | None:
        """Return one mission whole."""
        ...

    def changes(self, states: Sequence[ChangeState], mission: str, limit: int) -> list[ChangeLine]:
        """Return the newest changes, those in `states` and of `mission` where given."""
        ...

    def change(self, change: str, user: "User | None") -> ChangeView | None:
        """Return one change whole, with whether `user` may decide it."""
        ...

    def rules(self) -> list[RuleLine]:
        """Return the rules in force, in order of name."""
        ...

    def rule(self, name: str, key: str) -> RuleView | None:
        """Return one rule, and why the group key that has `key` (a=b,c=d) is in its state."""
        ...

    def sinks(self) -> list[SinkView]:
        """Return the sinks of the configuration."""
        ...

    def clusters(self) -> list[ClusterView]:
        """Return the clusters of the configuration."""
        ...

    def freezes(self) -> list[Freeze]:
        """Return the freezes in force."""
        ...

    def audit(self, mission: str, change: str, limit: int) -> AuditView:
        """Return the newest entries, and whether the chain of all is whole."""
        ...


class Targets(Config):
    """Which clusters, by names or globs, groups, a label selector; all that is given must hold."""

    clusters: tuple[str, ...] | None = Field(default=None, max_length=1000)
    groups: tuple[str, ...] | None = Field(default=None, max_length=100)
    labels: str | None = Field(default=None, max_length=1000)
    all: Literal[True] | None = None
    exclude: tuple[str, ...] | None = Field(default=None, max_length=1000)


class Order(Config):
    """A mission that a person wants, of `targets`.

    `mode`: report changes nothing, plan shows what could be changed, apply asks for it.
    `trigger` names the order: the same one, kind and params find the mission that exists.
    """

    kind: str = Field(min_length=1, max_length=100)
    params: dict[str, str] = Field(default_factory=dict, max_length=50)
    targets: Targets
    mode: Literal["report", "plan", "apply"] = "report"
    trigger: str = Field(default="", max_length=200)


class Orders(Protocol):
    """What users of the policy may ask for beside decisions. Calls block, from threads.

    All raise Refused (no, and why) and DogwatchError (it cannot be: no such kind or cluster).
    """

    def run(self, user: "User", order: Order) -> MissionLine:
        """Queue a mission; it proposes changes where `mode` says so."""
        ...

    def cancel(self, user: "User", mission: str) -> MissionLine:
        """End a mission that is not over; its changes are withdrawn."""
        ...

    def resume(self, user: "User", mission: str) -> MissionLine:
        """Queue a failed mission again."""
        ...

    def freeze(self, user: "User", scope: str, reason: str, for_s: float | None) -> Freeze:
        """Stop new changes of `scope` (`all`, `cluster/NAME`), for `for_s` seconds or for good."""
        ...

    def thaw(self, user: "User", scope: str) -> bool:
        """End a freeze; return whether there was one."""
        ...


def scope_of(cluster: str) -> str:
    """Return the scope of a freeze of `cluster`, of all where that is empty."""
    return f"{CLUSTER}{cluster}" if cluster else ALL


@dataclass(frozen=True)
class People:
    """What the pages for people and the HTTP API work with.

    Attributes:
        key: signs sessions; at least KEY_BYTES bytes.
        new_id: makes an id that nobody can guess.
        base: path below which a proxy serves the pages, empty for none; no slash at its end.
        secure: whether people reach the pages by https only.
    """

    desk: Desk
    pages: Pages
    orders: Orders
    clock: Clock
    key: bytes
    base: str = ""
    secure: bool = False
    new_id: Callable[[], str] = token_urlsafe

    def __post_init__(self) -> None:
        if len(self.key) < KEY_BYTES:
            raise ValueError(f"the key has {len(self.key)} bytes; at least {KEY_BYTES} are needed")
