"""Report: what a mission found, with its evidence, what it could not see, and what it proposes."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Severity(StrEnum):
    """Most severe first; `rank` 0 is critical."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for critical up to 4 for info."""
        return list(Severity).index(self)


class Outcome(StrEnum):
    """How a mission ended."""

    OK = "ok"
    FINDINGS = "findings"
    PARTIAL = "partial"
    FAILED = "failed"
    UNVERIFIED = "unverified"
    SKIPPED = "skipped"


class ObjectRef(_Part):
    """One object of one cluster."""

    cluster: str
    api_version: str = ""
    kind: str
    namespace: str = ""
    name: str
    uid: str = ""

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"


class Evidence(_Part):
    """One thing that was read: `source` says what (path, query, log), `time` when it was true."""

    id: str
    source: str
    value: str
    time: AwareDatetime | None = None


class Finding(_Part):
    """One thing that is wrong with one object; `evidence` holds at least one item."""

    id: str
    check: str
    severity: Severity
    object: ObjectRef
    container: str = ""
    path: str = ""
    title: str
    observed: str
    expected: str
    evidence: list[Evidence] = Field(min_length=1)
    references: list[str] = []
    confidence: float = Field(ge=0, le=1)
    status: Literal["fail", "warn", "exempt"] = "fail"


class Term(_Part):
    """One term of a hypothesis' score: `weight` times `value` was added."""

    name: str
    weight: float
    value: float
    why: str


class Hypothesis(_Part):
    """One possible cause: `verdict` is likely only with two independent pieces of evidence."""

    cause: str
    object: ObjectRef
    title: str
    score: float
    verdict: Literal["likely", "possible"]
    explains: list[str]
    terms: list[Term]
    evidence: list[str]


class Precondition(_Part):
    """A check on an option: `holds` is None where it could not be known."""

    name: str
    holds: bool | None
    why: str


class ProposedChange(_Part):
    """A remediation option, never applied by the mission itself."""

    id: str
    operation: str
    target: ObjectRef
    title: str
    risk: Literal["low", "medium", "high"]
    reversible: Literal["yes", "partly", "no"]
    command: str = ""
    preconditions: list[Precondition] = []
    findings: list[str]
    template: str = ""
    """The change template that does it (engine.changes.templates); empty: only a person can."""
    params: dict[str, Any] = {}


class AppliedChange(_Part):
    """What became of a change that this mission proposed; `state` is where it stands.

    `lines` says what it does, `checks` what the verification found, `objects` the exact before
    and after of each object where a person has to go on.
    """

    id: str
    title: str
    state: str
    reason: str
    digest: str = ""
    risk: str = ""
    target: ObjectRef
    lines: list[str] = []
    diff: str = ""
    decided_by: list[str] = []
    decided: AwareDatetime | None = None
    applied: AwareDatetime | None = None
    ended: AwareDatetime | None = None
    checks: list[Precondition] = []
    objects: list[dict[str, Any]] = []


class Incident(_Part):
    """Findings with one root: severest first, with the ranked hypotheses of their cause."""

    id: str
    title: str
    root: ObjectRef
    severity: Severity
    impact: str
    objects: list[ObjectRef]
    object_count: int
    findings: list[str]
    hypotheses: list[Hypothesis]


class Unknown(_Part):
    """Something that could not be assessed, and why."""

    what: str
    cluster: str = ""
    reason: str


class Coverage(_Part):
    """Checks answered of checks possible; an unknown never counts as a pass."""

    answered: int
    possible: int
    unknowns: list[Unknown] = []


class NextMission(_Part):
    """A mission worth running next."""

    kind: str
    reason: str
    params: dict[str, Any] = {}


class Report(_Part):
    """The one JSON that every rendering is made from."""

    kind: str
    run_id: str = ""
    rule: str = ""
    cause: str = ""
    clusters: dict[str, str] = {}
    """Cluster name -> digest of its snapshot."""
    started: AwareDatetime
    finished: AwareDatetime
    outcome: Outcome
    summary: str
    incidents: list[Incident] = []
    findings: list[Finding] = []
    coverage: Coverage
    changes: list[ProposedChange] = []
    applied: list[AppliedChange] = []
    per_cluster: dict[str, Literal["ok", "partial", "unreachable", "forbidden"]] = {}
    next: list[NextMission] = []
    phase: int = 1
    total_phases: int = 1
    resumable: bool = False
    checkpoint: dict[str, Any] = {}
    narrative: str | None = None
    advice: Literal["off", "given", "skipped", "failed"] = "off"
    """What the model added: see engine.advisor."""
