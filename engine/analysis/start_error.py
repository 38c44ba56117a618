"""What a container runtime's message says when it could not create or start a container."""

import re
from dataclasses import dataclass
from typing import Final

from engine.analysis.text import clean

_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class StartError:
    """A kind of message; `title` is the cause as a clause about the container."""

    word: str
    pattern: re.Pattern[str]
    title: str
    remedies: tuple[str, ...]


_CONFIG = ("fix-config", "rollback")

TABLE: Final = (
    StartError(
        "wrong-architecture",
        re.compile(r"(?i)exec format error|no match(?:ing)? .{0,40}(?:platform|manifest)"),
        "the image is built for another CPU architecture",
        ("fix-image", "rollback"),
    ),
    StartError(
        "runs-as-root",
        re.compile(r"(?i)runAsNonRoot|non-numeric user|run as root"),
        "the image runs as root, which the pod's securityContext forbids",
        ("fix-config", "fix-image", "rollback"),
    ),
    StartError(
        "subpath-mount",
        re.compile(r"(?i)subpath|not a directory: unknown|mount a directory onto a file"),
        "a mounted path does not fit what lies there",
        _CONFIG,
    ),
    StartError(
        "command-not-found",
        re.compile(
            r"(?i)executable file not found|exec: .{0,200}no such file|no command specified"
        ),
        "its command does not exist in the image",
        _CONFIG,
    ),
    StartError(
        "command-not-executable",
        re.compile(
            r"(?i)exec: .{0,200}permission denied|starting container process .{0,200}permission"
        ),
        "its command can not be executed",
        _CONFIG,
    ),
    StartError(
        "runtime-stuck",
        re.compile(r"(?i)context deadline exceeded|failed to reserve container name"),
        "the container runtime of its node does not finish",
        ("restart", "drain"),
    ),
    StartError(
        "hook-failed",
        re.compile(r"(?i)poststart|prestart|lifecycle hook|hook .{0,80}fail"),
        "a start hook of the container failed",
        _CONFIG,
    ),
)
UNKNOWN: Final = StartError(
    "start-error", re.compile(""), "the container runtime could not start it", _CONFIG
)


def read_start_error(message: str) -> StartError:
    """Return what a runtime's message says; `UNKNOWN` where it says nothing that we know."""
    head = message[:_LONGEST]
    return next((entry for entry in TABLE if entry.pattern.search(head)), UNKNOWN)


_MISSING = (
    re.compile(r"(?i)\b(?P<kind>configmap|secret)s? \"(?P<name>[^\"]{1,253})\" not found"),
    re.compile(
        r"(?i)couldn't find key \"?(?P<key>[\w.-]{1,253})\"? in "
        r"(?P<kind>configmap|secret) (?:[\w.-]{1,63}/)?\"?(?P<name>[\w.-]{1,253})"
    ),
    re.compile(
        r"(?i)(?P<kind>configmap|secret) (?:[\w.-]{1,63}/)?\"?(?P<name>[\w.-]{1,253})\"? "
        r".{0,60}non-existent .{0,20}key: \"?(?P<key>[\w.-]{1,253})"
    ),
    re.compile(r"(?i)references non-existent (?P<kind>config|secret) key: (?P<key>[\w.-]{1,253})"),
    re.compile(r"(?i)object \"[^\"]{1,63}\"/\"(?P<name>[^\"]{1,253})\" not registered"),
)
_KINDS = {"configmap": "ConfigMap", "config": "ConfigMap", "secret": "Secret"}


@dataclass(frozen=True, slots=True)
class MissingReference:
    """A ConfigMap or Secret, or a key of it, that a message says is not there."""

    kind: str
    name: str
    key: str


def missing_reference(message: str) -> MissingReference | None:
    """Return the reference that a kubelet's message calls missing; parts not named are empty."""
    for pattern in _MISSING:
        found = pattern.search(message[:_LONGEST])
        if found:
            parts = found.groupdict()
            return MissingReference(
                _KINDS.get((parts.get("kind") or "").lower(), ""),
                clean(parts.get("name") or "", 253),
                clean(parts.get("key") or "", 253),
            )
    return None
