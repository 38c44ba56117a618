"""Who may approve what, where, now: the policy as an answer to one question. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.changes.policy.approving import demand_at, may_take, people_of
from engine.changes.policy.holding import closed_until
from engine.changes.policy.limits import is_closed
from engine.changes.policy.policy import Policy, User
from engine.model.change import Risk
from engine.model.instant import rfc3339, to_us


@dataclass(frozen=True)
class Answer:
    """What the policy says of one risk at one place.

    Attributes:
        people: how many distinct persons must approve.
        typed: whether each has to type the name of the object.
        groups: whose members may; none: nobody.
        members: name of each who may, and how that one is recognised.
        automatic: names of the approvals that may take it without a person now.
        closed: why nothing would begin now, empty where something would; `until` when to look
            again.
        never: why it is never changed, empty where it may be.
    """

    people: int
    typed: bool
    groups: tuple[str, ...] = ()
    members: Mapping[str, tuple[str, ...]] | None = None
    automatic: tuple[str, ...] = ()
    closed: str = ""
    until: datetime | None = None
    never: str = ""


def who(policy: Policy, place: tuple[str, str], risk: Risk, now: datetime) -> Answer:
    """Return who may approve `risk` at `place` (cluster, namespace; empty for none) at `now`."""
    entry = demand_at(policy, place, risk)
    groups = () if entry is None else entry.groups
    closed = closed_until(policy, place, risk, now)
    return Answer(
        people=0 if entry is None else people_of(entry, risk),
        typed=risk is Risk.DESTRUCTIVE,
        groups=groups,
        members={
            name: _ways(user) for name, user in policy.users.items() if {*groups} & {*user.groups}
        },
        automatic=tuple(
            name
            for name, one in policy.file.automatic.items()
            if may_take(policy, one, place, (risk, now))
        ),
        closed="" if closed is None else closed[0],
        until=None if closed is None else closed[1],
        never=_never(policy, place),
    )


def _ways(user: User) -> tuple[str, ...]:
    known = {
        "email": user.email,
        "slack": all(user.slack),
        "token": user.token_sha256,
        "oidc": user.subject,
    }
    return tuple(way for way, has in known.items() if has)


def _never(policy: Policy, place: tuple[str, str]) -> str:
    cluster, namespace = place
    if policy.clusters is not None and cluster not in policy.clusters:
        return f"cluster {cluster} is not in the configuration"
    return f"namespace {namespace} is protected" if is_closed(policy, namespace) else ""


def sentences(answer: Answer, risk: Risk) -> Sequence[str]:
    """Return the answer for people, a line each."""
    if answer.never:
        return [f"never: {answer.never}"]
    lines = [f"nobody may approve what is {risk} there"]
    if answer.groups:
        persons = "1 person" if answer.people == 1 else f"{answer.people} distinct persons"
        typed = ", each typing the name of the object" if answer.typed else ""
        lines = [f"{persons} of {' or '.join(answer.groups)}{typed}"]
        members = (answer.members or {}).items()
        lines += [f"  {name}, by {', '.join(ways)}" for name, ways in members]
    for name in answer.automatic:
        lines.append(f"without a person: {name}, for its rules and templates")
    if answer.closed and answer.until is not None:
        lines.append(f"nothing begins now: {answer.closed}, until {rfc3339(to_us(answer.until))}")
    return lines
