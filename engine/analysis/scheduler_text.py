"""What kube-scheduler says of a pod that fits nowhere, parsed into counts by reason.

Source: the reasons of kube-scheduler's filter plugins, and framework.FitError.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_HEAD = re.compile(r"(\d{1,7})/(\d{1,7}) nodes? (?:are|is) available:? ?")
_PART = re.compile(r"(?:(\d{1,7}) )?(.+?)(?:, (?=\d{1,7} )|\.? *\Z)", re.DOTALL)
_TAINT = re.compile(r"\{[^{}]*\}")
_LONGEST = 8_192

_PHRASES: Final[tuple[tuple[str, str], ...]] = (
    ("Insufficient ", "insufficient"),
    ("Too many pods", "too-many-pods"),
    ("untolerated taint", "taint"),
    ("that the pod didn't tolerate", "taint"),
    ("were unschedulable", "cordoned"),
    ("node affinity/selector", "node-affinity"),
    ("node selector", "node-affinity"),
    ("requested node name", "node-name"),
    ("anti-affinity", "pod-anti-affinity"),
    ("pod affinity", "pod-affinity"),
    ("topology spread", "topology-spread"),
    ("volume node affinity", "volume-node-affinity"),
    ("no available volume zone", "volume-node-affinity"),
    ("max volume count", "volume-limit"),
    ("free ports", "host-port"),
    ("unbound immediate PersistentVolumeClaims", "claim-unbound"),
    ("available persistent volumes to bind", "claim-unbound"),
    ("non-existent pv", "claim-unbound"),
    ("persistentvolumeclaim", "claim-missing"),
    ("ReadWriteOncePod", "claim-in-use"),
    ("disk conflict", "claim-in-use"),
    ("enough free storage", "storage-capacity"),
    ("cannot allocate all claims", "device"),
    ("resourceclaim", "device"),
)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why `count` nodes do not take the pod.

    `word` is as in `engine.analysis.scheduling.Refusal`, or one of those that only the
    scheduler judges, or `other`; `what` is the resource or the taint.
    """

    word: str
    what: str
    count: int
    phrase: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The scheduler's answer: of `total` nodes none (`fitting` 0) took the pod."""

    fitting: int
    total: int
    reasons: tuple[Reason, ...]

    def count(self, word: str, what: str = "") -> int:
        """Return how many nodes were refused for `word` (and `what`, where given)."""
        return sum(r.count for r in self.reasons if r.word == word and what in {"", r.what})


def parse(message: str) -> Verdict | None:
    """Return the verdict in `message`, None where it holds none.

    What follows `preemption:` is about other pods and is left out.
    """
    text = message[:_LONGEST]
    head = _HEAD.search(text)
    if head is None:
        return None
    body = text[head.end() :].partition("preemption:")[0].strip()
    total = int(head[2])
    return Verdict(int(head[1]), total, tuple(_reasons(body, total)))


def _reasons(body: str, total: int) -> Iterator[Reason]:
    for part in _PART.finditer(body):
        phrase = part[2].strip(" .")
        if phrase:
            word = next((word for needle, word in _PHRASES if needle in phrase), "other")
            yield Reason(word, _what(word, phrase), int(part[1] or total), phrase)


def _what(word: str, phrase: str) -> str:
    if word == "insufficient":
        return phrase.removeprefix("Insufficient ").strip()
    if word == "taint":
        taint = _TAINT.search(phrase)
        return taint.group() if taint else ""
    return ""
