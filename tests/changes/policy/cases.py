"""Policies and changes to judge: each test says only what it is about."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.changes.policy import Place, Policy, User, load_policy
from engine.model.change import Change, Draft, Operation, Probe, Risk, Target, Verb
from engine.model.change_row import ChangeRow, Decision, Verdict

HERE = Path(__file__).parent
GOOD = (HERE / "all_fields.yaml").read_text(encoding="utf-8")
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)  # a Tuesday
CLUSTERS = {"prod-eu": Place({"env": "prod"}, ("eu",)), "lab": Place({"env": "lab"})}
TEMPLATES = ("restart", "rollback", "drain", "scale")
TOKEN = "ada's token"
PEOPLE = """\
users:
  ada: {email: Ada@example.com, slack: {team: T01, user: U01}, token_sha256: HASH}
  bo: {email: bo@example.com, subject: "idp|bo"}
  cy: {email: cy@example.com}
  di: {email: di@example.com}
groups: {sre: [ada, bo], shop: [cy, di], guests: [di]}
oidc: {issuer: "https://idp", audience: dogwatch, jwks_url: "https://idp/keys"}
""".replace("HASH", sha256(TOKEN.encode()).hexdigest())
ANYWHERE = "approvers: [{groups: [sre]}]\n"


def a_policy(
    text: str = ANYWHERE, clusters: Mapping[str, Place] | None = None, people: str = PEOPLE
) -> Policy:
    """Return the policy of `people` and `text`, over `clusters` or CLUSTERS."""
    return load_policy("p.yaml", people + text, CLUSTERS if clusters is None else clusters)


def a_target(name: str = "web", namespace: str = "shop", **fields: Any) -> Target:
    """Return a Deployment; its uid is made of its kind, namespace and name."""
    kind = fields.pop("kind", "Deployment")
    return Target(
        cluster=fields.pop("cluster", "prod-eu"),
        cluster_uid="u",
        api_version=fields.pop("api_version", "apps/v1"),
        kind=kind,
        resource="deployments.apps",
        namespace=namespace,
        name=name,
        uid=fields.pop("uid", f"{kind}-{namespace}-{name}"),
    )


def an_operation(target: Target, verb: Verb = Verb.PATCH, **fields: Any) -> Operation:
    """Return one write of `target`."""
    return Operation(verb=verb, target=target, **fields)


def a_row(
    risk: Risk = Risk.DISRUPTIVE,
    operations: Sequence[Operation] = (),
    rollback: Sequence[Operation] = (),
    **fields: Any,
) -> ChangeRow:
    """Return a change that awaits a decision: of one Deployment, asked for by a rule."""
    done = list(operations) or [an_operation(a_target())]
    draft = Draft(
        id="c-1",
        template=fields.pop("template", "rollback"),
        target=done[0].target.ref,
        title="Roll back web",
        kind="incident-response",
    )
    change = Change(
        draft=draft,
        risk=risk,
        reversible="yes",
        why_reversible="",
        operations=done,
        probes=[Probe(name="equal")],
        rollback=list(rollback),
    )
    row = ChangeRow("c-1", "m-1", draft, NOON, change=change, digest=change.digest)
    known = {"rule": "crash", "requester": "rule:crash", "approval": "policy"}
    return replace(row, **{**known, **fields})


def said(row: ChangeRow, who: str, verdict: Verdict = Verdict.APPROVE, **fields: Any) -> Decision:
    """Return what `who` says to exactly `row`, typing what is asked for."""
    typed = row.draft.target.name if row.change and row.change.risk is Risk.DESTRUCTIVE else ""
    known = {"change": row.id, "digest": row.digest, "typed": typed, "via": "web", "at": NOON}
    return Decision(who=who, verdict=verdict, **{**known, **fields})


def decided(row: ChangeRow, *decisions: Decision) -> ChangeRow:
    """Return `row` with these decisions."""
    return replace(row, decisions=decisions)


def user(policy: Policy, name: str) -> User:
    """Return the user of this name."""
    return policy.users[name]
