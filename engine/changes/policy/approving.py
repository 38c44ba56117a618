"""Who may approve a change, whether the decisions suffice, and what needs nobody. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from engine.changes.policy.config import PEOPLE, ApproverConfig, AutomaticConfig
from engine.changes.policy.limits import most_objects, object_count
from engine.changes.policy.policy import Policy, User, covers, matches, places
from engine.model.change import Risk
from engine.model.change_row import ChangeRow, Decision, Judgement, Verdict
from engine.model.instant import to_us
from engine.rules.mute import inside

AUTOMATIC: Final = "policy:"
"""What the name of an automatic approval begins with where a person's name would stand."""
RISKS: Final = list(Risk)


@dataclass(frozen=True)
class Needed:
    """What approving asks for.

    Attributes:
        people: how many distinct persons must approve at least.
        typed: the name that each has to type, empty where none has.
        groups: whose members may; none where nobody may.
    """

    people: int
    typed: str
    groups: tuple[str, ...]


def needed(policy: Policy, row: ChangeRow) -> Needed:
    """Return what it takes to approve the change of `row`."""
    demands = _demands(policy, row)
    people = 0
    seen: set[str] = set()
    for demand, wanted in demands:
        people = max(people, wanted) if seen & set(demand.groups) else people + wanted
        seen |= set(demand.groups)
    risk = _risk(row)
    groups = dict.fromkeys(group for demand, _ in demands for group in demand.groups)
    typed = row.draft.target.name if risk is Risk.DESTRUCTIVE else ""
    return Needed(max(people, PEOPLE[risk]), typed, tuple(groups))


def may_decide(
    policy: Policy, user: User, row: ChangeRow, verdict: Verdict = Verdict.APPROVE
) -> str:
    """Return why `user` may not say `verdict`, in words; empty where it is allowed.

    Who asked for the change may deny it, never approve it. Neither the engine nor a model is a
    user, so that neither can decide.
    """
    known = policy.users.get(user.name)
    if known is None:
        return f"{user.name} is no user of the policy"
    if row.change is None:
        return "the change is not worked out yet"
    if row.mode == "plan":
        return "it is a plan only, which is never made: ask for a mission in mode apply"
    if verdict is Verdict.APPROVE and _asked(known, row):
        return f"{user.name} asked for this change; somebody else has to approve it"
    return _outsider(known, needed(policy, row).groups, row)


def may_order(policy: Policy, user: User, clusters: Collection[str] | None) -> str:
    """Return why `user` may not order what lets changes happen; empty where it is allowed.

    Missions that may change something, and to let go on what was stopped, are for who may approve
    something in each of `clusters`; None stands for all that the policy knows.
    """
    known = policy.users.get(user.name)
    if known is None:
        return f"{user.name} is no user of the policy"
    wanted = (policy.clusters or {}) if clusters is None else clusters
    for cluster in dict.fromkeys(wanted) or [""]:
        allowed = _groups_in(policy, cluster)
        if not allowed & set(known.groups):
            where = cluster or "any cluster"
            names = ", ".join(sorted(allowed)) or "nobody"
            return f"this is for who approves changes in {where} ({names}); {user.name} does not"
    return ""


def _groups_in(policy: Policy, cluster: str) -> set[str]:
    """Return the groups whose members approve something in `cluster`; of all where it is empty."""
    entries = policy.file.approvers
    covering = [one for one in entries if not cluster or policy.chooses(one.clusters, cluster)]
    return {group for one in covering for group in one.groups}


def _outsider(user: User, allowed: Sequence[str], row: ChangeRow) -> str:
    """Return why `user` is none of those who may decide, empty where they are one."""
    if not allowed:
        return f"the policy lets nobody approve it {_where(row)}"
    if not set(allowed) & set(user.groups):
        return f"{user.name} is in none of the groups that may decide: {', '.join(allowed)}"
    return ""


def judge(policy: Policy, row: ChangeRow, now: datetime) -> Judgement:
    """Return what the decisions of `row` amount to, by the policy as it is now.

    Only those count that name its digest, came in time, and were made by somebody who may.
    """
    counted = [one for one in row.decisions if _counts(policy, row, one, now)]
    for one in counted:
        if one.verdict is Verdict.DENY:
            because = f": {one.comment}" if one.comment else ""
            return Judgement(Verdict.DENY, f"denied by {one.who}{because}")
    names = list(dict.fromkeys(one.who for one in counted))
    by_policy = [name for name in names if name.startswith(AUTOMATIC)]
    if by_policy:
        return Judgement(Verdict.APPROVE, f"approved by {by_policy[0]}")
    open_ = [text for text in _open(policy, row, names) if text]
    if row.change is None or open_ or not names:
        return Judgement(None, "; ".join(open_) or "nobody decided yet")
    return Judgement(Verdict.APPROVE, f"approved by {' and '.join(names)}")


def automatic(policy: Policy, row: ChangeRow, now: datetime) -> str:
    """Return the name of the automatic approval that takes the change, empty where none does."""
    if row.approval != "policy" or not row.rule or row.change is None:
        return ""
    if object_count(row) > most_objects(policy, row, approved=False):
        return ""
    taking = (name for name, one in policy.file.automatic.items() if _takes(policy, one, row, now))
    return next(taking, "")


def _takes(policy: Policy, entry: AutomaticConfig, row: ChangeRow, now: datetime) -> bool:
    return (
        matches(row.rule, entry.rules)
        and matches(row.draft.template, entry.templates)
        and all(may_take(policy, entry, place, (_risk(row), now)) for place in places(row))
    )


def may_take(
    policy: Policy, entry: AutomaticConfig, place: tuple[str, str], case: tuple[Risk, datetime]
) -> bool:
    """Whether `entry` may approve at `place`; `case` is the risk, and when.

    What rule and which template it is for is not asked here.
    """
    cluster, namespace = place
    risk, now = case
    within = policy.intervals(entry.within)
    return (
        RISKS.index(risk) <= RISKS.index(entry.risk)
        and policy.chooses(entry.clusters, cluster)
        and matches(namespace, entry.namespaces)
        and (not within or any(inside(one, to_us(now)) for one in within))
    )


def demand_at(policy: Policy, place: tuple[str, str], risk: Risk) -> ApproverConfig | None:
    """Return the first entry of `approvers` about `risk` at `place`, None where there is none."""
    return next((one for one in policy.file.approvers if covers(policy, one, place, risk)), None)


def people_of(entry: ApproverConfig, risk: Risk) -> int:
    """Return how many distinct persons `entry` asks for."""
    return max(entry.people or 0, PEOPLE[risk])


def _demands(policy: Policy, row: ChangeRow) -> Sequence[tuple[ApproverConfig, int]]:
    """Return the entries that must all be met, and by how many; none where nobody may approve."""
    risk = _risk(row)
    found = [demand_at(policy, place, risk) for place in places(row)]
    met = [one for one in found if one is not None]
    if len(met) < len(found):
        return ()
    return [(one, people_of(one, risk)) for at, one in enumerate(met) if one not in met[:at]]


def _open(policy: Policy, row: ChangeRow, names: Sequence[str]) -> list[str]:
    """Return what is missing still, one sentence for each demand that is not met."""
    demands = _demands(policy, row)
    if not demands:
        return [f"the policy lets nobody approve it {_where(row)}"]
    return [_missing(policy.users, demand, people, names) for demand, people in demands]


def _missing(
    users: Mapping[str, User], demand: ApproverConfig, people: int, names: Sequence[str]
) -> str:
    have = sum(bool(set(users[name].groups) & set(demand.groups)) for name in names)
    if have >= people:
        return ""
    return f"{have} of {people} approvals by {' or '.join(demand.groups)}"


def _counts(policy: Policy, row: ChangeRow, decision: Decision, now: datetime) -> bool:
    if not _is_of(decision, row):
        return False
    if decision.who.startswith(AUTOMATIC):
        entry = automatic(policy, row, now)
        return bool(entry) and decision.who == AUTOMATIC + entry
    user = policy.users.get(decision.who)
    if user is None or may_decide(policy, user, row, decision.verdict):
        return False
    return decision.verdict is Verdict.DENY or decision.typed == needed(policy, row).typed


def _is_of(decision: Decision, row: ChangeRow) -> bool:
    """Whether `decision` is on exactly what `row` would do, and came in time."""
    digest = "" if row.change is None else row.change.digest
    timely = row.expires is None or decision.at < row.expires
    return decision.change == row.id and decision.digest == row.digest == digest != "" and timely


def _asked(user: User, row: ChangeRow) -> bool:
    """Whether `user` asked for the change, by whichever of their names."""
    requester = row.requester.casefold()
    return bool(requester) and requester in {user.name, user.email.casefold()}


def _risk(row: ChangeRow) -> Risk:
    """Return the risk of the change; the highest one while it is not known."""
    return RISKS[-1] if row.change is None else row.change.risk


def _where(row: ChangeRow) -> str:
    shown = [
        f"{cluster}/{namespace}" if namespace else cluster for cluster, namespace in places(row)
    ]
    return "in " + ", ".join(shown[:3])
