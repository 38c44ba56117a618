"""The mission kinds of the language: what rules may launch, and with which parameters.

A kind that is registered (engine.missions.registry) has the type and the parameters that this
table gives it; one that is not yet there can be named in a rule all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

MissionType: TypeAlias = Literal["analyze", "repair", "troubleshoot", "deploy"]

_PLACE: Final = ("cluster", "namespace", "workload")
_OBJECT: Final = ("kind", "name")


@dataclass(frozen=True)
class KindEntry:
    """One kind: its type, what it does, and the names of its parameters."""

    type: MissionType
    summary: str
    params: tuple[str, ...]


MISSION_KINDS: Final[Mapping[str, KindEntry]] = {
    "app-correlate": KindEntry(
        "troubleshoot",
        "Compare an application that fails in several clusters and rank what they share.",
        ("symptom", *_PLACE, *_OBJECT, "app", "clusters", "window"),
    ),
    "capacity-plan": KindEntry(
        "analyze",
        "Right-size requests and limits, and forecast when nodes and quotas are full.",
        ("reason", *_PLACE, *_OBJECT, "node", "resource", "history", "horizon"),
    ),
    "chaos-probe": KindEntry(
        "analyze",
        "Simulate the loss of nodes, zones and services, and grade what would survive.",
        ("reason", *_PLACE, *_OBJECT, "node", "scenarios"),
    ),
    "cluster-onboard": KindEntry(
        "deploy",
        "Assess a new cluster against the baseline and plan what it lacks.",
        ("reason", "cluster", "baseline", "install"),
    ),
    "compliance-audit": KindEntry(
        "analyze",
        "Judge clusters by the controls of a framework, with evidence for each.",
        ("reason", "cluster", "namespace", "framework"),
    ),
    "cost-optimize": KindEntry(
        "analyze",
        "Find what is paid for and not used, with what its removal would save.",
        ("reason", *_PLACE, *_OBJECT, "node", "history"),
    ),
    "drift-reconcile": KindEntry(
        "analyze",
        "Explain why objects differ from their desired state and how to bring them back.",
        ("reason", *_PLACE, *_OBJECT, "app"),
    ),
    "gpu-optimize": KindEntry(
        "analyze",
        "Find GPUs that are held and not used, and better places for the work on them.",
        ("reason", *_PLACE, "node", "history"),
    ),
    "incident-response": KindEntry(
        "troubleshoot",
        "Find what is wrong, how far it reaches, and what it most likely comes from.",
        ("symptom", *_PLACE, "node", *_OBJECT),
    ),
    "llmd-profile": KindEntry(
        "analyze",
        "Profile a model server from gateway to decoding and name its bottleneck.",
        ("reason", *_PLACE, "model", "pool", "history"),
    ),
    "maintenance-plan": KindEntry(
        "analyze",
        "Collect what maintenance is due, and plan it into windows in a safe order.",
        ("reason", "cluster", "node", *_OBJECT, "device", "horizon"),
    ),
    "namespace-cleanup": KindEntry(
        "analyze",
        "Find namespaces that nobody uses, with the evidence and a safe way to retire them.",
        ("reason", "cluster", "namespace", "idle_for"),
    ),
    "netpol-generate": KindEntry(
        "analyze",
        "Propose the least network policies that allow the traffic that is needed.",
        ("reason", "cluster", "namespace", "window"),
    ),
    "post-mortem": KindEntry(
        "analyze",
        "Write the timeline, impact, causes and actions of an incident that is over.",
        ("mission", "firing", *_PLACE, "window"),
    ),
    "rbac-audit": KindEntry(
        "analyze",
        "Find permissions that are wider than what their holders use.",
        ("reason", "cluster", "namespace", *_OBJECT),
    ),
    "secret-rotation": KindEntry(
        "analyze",
        "Plan the renewal of certificates and secrets by urgency and by who depends on them.",
        ("reason", "cluster", "namespace", *_OBJECT),
    ),
    "security-harden": KindEntry(
        "analyze",
        "Rank security findings by reach and propose one safe fix after the other.",
        ("reason", *_PLACE, *_OBJECT, "level"),
    ),
    "upgrade-analyze": KindEntry(
        "analyze",
        "Tell what a version upgrade would break, and plan it step by step.",
        ("reason", "cluster", "node", "target"),
    ),
}
"""Every kind by name, in order of name."""
