"""Delivery: one report or state change on its way to one sink."""

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from engine.model.report import AppliedChange, Evidence, ObjectRef, Precondition, Report


class Occasion(StrEnum):
    """What a delivery tells of; a repeat: it still fires.

    approval: a change waits for a decision. reminder: it still does. change: it ended.
    """

    FIRE = "fire"
    REPEAT = "repeat"
    RESOLVE = "resolve"
    RESULT = "result"
    APPROVAL = "approval"
    REMINDER = "reminder"
    CHANGE = "change"


class Episode(BaseModel):
    """One of the firings that share a message: where, since when, and whether it is over.

    `fresh`: this message is the first to say so. `summary` is the rule's own words, if any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    incident: str
    group: dict[str, str]
    over: bool
    fresh: bool
    since: AwareDatetime | None = None
    at: AwareDatetime
    summary: str = ""
    value: dict[str, Any] = {}
    reason: str = ""


class Ask(BaseModel):
    """A change that waits for a decision, as those see it who are asked.

    Attributes:
        change, digest: what a decision names.
        needed: how many distinct people must approve.
        typed: the name that each has to type, empty where none has.
        diff: unified text; `lines` the same in sentences; `blast` what it touches at worst.
        why, evidence: why now, and what was read that shows it.
        checked: what must hold right before, as it was seen. notes: what could not be told.
        then: what happens once it is approved, in sentences.
        groups: whose members may approve, nobody where there is none; never `requester`.
        approved_by: who approved so far, where more are needed.
        url: of the page that shows it, empty where none is served.
        confirm: it was applied, and is rolled back unless somebody says that it may stay.
        more: further changes that wait, where this stands for a digest of several.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    change: str
    digest: str
    title: str
    risk: str
    reversible: str
    why_reversible: str = ""
    target: ObjectRef
    lines: list[str] = []
    diff: str = ""
    blast: str = ""
    why: str = ""
    evidence: list[Evidence] = []
    checked: list[Precondition] = []
    notes: list[str] = []
    then: list[str] = []
    groups: list[str] = []
    requester: str = ""
    approved_by: list[str] = []
    needed: int = 1
    typed: str = ""
    expires: AwareDatetime
    url: str = ""
    confirm: bool = False
    more: list[str] = []


class Delivery(BaseModel):
    """One thing to tell one sink, with the same `key` on every attempt.

    `incident` is the firing id: deliveries of one incident belong to one thread. `shared` is
    what firings have in common that share a message, empty for one that goes alone; the message
    lists them as `episodes`, and its incident is that of the first one.
    `since` is when it began to fire; `value`, `reason`, `members` and `member_count` are those
    of the transition. Where they are absent, `text` says it all. `ask` is there for approval and
    reminder, `applied` for change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    sink: str
    change: Occasion
    incident: str
    rule: str
    group: dict[str, str]
    at: AwareDatetime
    mission: str | None = None
    title: str
    severity: str = "info"
    text: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    since: AwareDatetime | None = None
    value: dict[str, Any] = {}
    reason: str = ""
    members: list[str] = []
    member_count: int = 0
    report: Report | None = None
    ask: Ask | None = None
    applied: AppliedChange | None = None
    shared: dict[str, str] = {}
    episodes: list[Episode] = []


class Receipt(BaseModel):
    """What a receiver answered; `thread` lets later deliveries of the incident follow."""

    model_config = ConfigDict(frozen=True)

    detail: str = ""
    thread: dict[str, Any] = {}
