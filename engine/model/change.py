"""Change: what a mission proposes to write to a cluster, exactly, and how it is undone."""

from enum import StrEnum
from typing import Any, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from engine.model.ids import digest
from engine.model.report import Evidence, ObjectRef, Precondition

Reversible: TypeAlias = Literal["yes", "partly", "no"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Risk(StrEnum):
    """What an operation can do at worst; who may approve follows from it, mildest first."""

    SAFE = "safe"
    DISRUPTIVE = "disruptive"
    DESTRUCTIVE = "destructive"
    LOCKOUT = "lockout-capable"


class Verb(StrEnum):
    """How an object is written.

    patch: JSON merge patch. scale: the same of its scale subresource. apply: server-side apply,
    never forced. evict: the Eviction API. delete: with preconditions.
    """

    PATCH = "patch"
    SCALE = "scale"
    APPLY = "apply"
    EVICT = "evict"
    DELETE = "delete"


class Target(_Part):
    """One object of one cluster; `uid` is empty for one that is yet to be made.

    `cluster` is the name in the configuration, `cluster_uid` the uid of its kube-system,
    `resource` as the reader names it: `deployments.apps`.
    """

    cluster: str
    cluster_uid: str
    api_version: str
    kind: str
    resource: str
    namespace: str = ""
    name: str
    uid: str = ""

    @property
    def ref(self) -> ObjectRef:
        """The same as reports name it."""
        return ObjectRef(
            cluster=self.cluster,
            api_version=self.api_version,
            kind=self.kind,
            namespace=self.namespace,
            name=self.name,
            uid=self.uid,
        )


class Operation(_Part):
    """One write to one object.

    Attributes:
        verb: how.
        target: of what.
        patch: what is sent: a merge patch (null removes a field), or the object to apply.
        before: exactly the fields that the write changes, as they are; null where absent.
        after: the same fields as the server's dry run answered; null where absent.
        wave: 0 is the canary; a wave begins once the one before it is verified.
    """

    verb: Verb
    target: Target
    patch: dict[str, Any] = {}
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    wave: int = 0


class Probe(_Part):
    """One check of the verification: `name` is in engine.changes.probes, `args` are its own."""

    name: str
    args: dict[str, Any] = {}


class ProbeResult(_Part):
    """What a probe found; `holds` is None where it could not be known."""

    name: str
    holds: bool | None
    why: str
    at: AwareDatetime


class Draft(_Part):
    """What a mission proposes, before it is worked out.

    Attributes:
        id: of the change that it becomes (`change_id`).
        template: name in engine.changes.templates.
        target: what it is applied to.
        params: of the template, within its bounds.
        findings: ids of the findings that it is to remove.
        title: in words, for people.
        why, evidence: why now, and what was read that shows it; for people, no part of a digest.
        kind, kind_params: the mission kind, and how to ask it whether the findings are gone.
    """

    id: str
    template: str
    target: ObjectRef
    params: dict[str, Any] = {}
    findings: list[str] = []
    title: str
    why: str = ""
    evidence: list[Evidence] = []
    kind: str
    kind_params: dict[str, Any] = {}


class Change(_Part):
    """A draft that was worked out: exactly what would be written, and how it is undone.

    Attributes:
        risk, reversible, why_reversible: of the template; the riskiest operation counts.
        operations: at most 10, in order of wave.
        preconditions: what must hold right before; judged again then.
        probes: what must hold afterwards, over `window_s` seconds.
        rollback: undoes the operations, last one first; worked out and dry-run before anybody
            is asked; empty where nothing can be undone.
        diff: unified text of all objects, without what the server keeps for itself.
        lines: one semantic sentence each: `replicas 1 -> 3`.
        blast: what it touches at worst, in words.
        notes: what the checks could not tell, such as whether a finding would be gone.
        critical: ids of the critical findings that there were when it was worked out.
        locks: names of what nobody else may work on meanwhile, see engine.changes.locks.
    """

    draft: Draft
    risk: Risk
    reversible: Reversible
    why_reversible: str
    operations: list[Operation] = Field(min_length=1, max_length=100)
    preconditions: list[Precondition] = []
    probes: list[Probe]
    window_s: float = 600.0
    rollback: list[Operation] = []
    diff: str = ""
    lines: list[str] = []
    blast: str = ""
    notes: list[str] = []
    critical: list[str] = []
    locks: list[str] = []

    @property
    def digest(self) -> str:
        """The sha256 that a decision names: of what would be done, checked and undone.

        Reasons in words and what was merely observed are left out: they may differ each time.
        """
        return digest(
            {
                "operations": [one.model_dump(mode="json") for one in self.operations],
                "preconditions": [one.name for one in self.preconditions],
                "probes": [one.model_dump(mode="json") for one in self.probes],
                "window_s": self.window_s,
                "rollback": [one.model_dump(mode="json") for one in self.rollback],
            }
        )


def change_id(mission: str, phase: int, template: str, target: ObjectRef) -> str:
    """Return the id of the change that `mission` proposes in `phase`."""
    place = [target.cluster, target.kind, target.namespace, target.name, target.uid]
    return "c-" + digest([mission, phase, template, *place])[:20]
