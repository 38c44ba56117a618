"""Ids are hashes of what they stand for, so that a replay finds the same ones."""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

_NAMESPACE = uuid.UUID("6f0d8f0e-6d0b-5b8e-9c39-0f2f6a2f6a01")


def canonical(value: Any) -> bytes:
    """Return the one JSON form of `value`: sorted keys, no spaces, UTF-8."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str
    ).encode("utf-8", "surrogatepass")


def digest(value: Any) -> str:
    """Return the sha256 of the canonical form of `value`, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def firing_id(rule: str, key: Mapping[str, str], start_us: int) -> str:
    """Return the id of the episode of `rule` for `key` that began at `start_us`.

    `start_us` is stream time in microseconds since 1970.
    """
    return "f-" + digest([rule, dict(key), start_us])[:20]


def correlation_id(rule: str, key: Mapping[str, str], members: Sequence[str]) -> str:
    """Return the id of the episode of `rule` for `key` that other firings make.

    `members` says which they are; when and in which order they came does not matter.
    """
    return "f-" + digest([rule, dict(key), list(members)])[:20]


def mission_id(trigger: str, kind: str, params: Mapping[str, Any]) -> str:
    """Return the run id: UUIDv5 of the trigger (a firing id, usually), kind and params."""
    name = canonical([trigger, kind, dict(params)]).decode()
    return "m-" + str(uuid.uuid5(_NAMESPACE, name))


def delivery_key(subject: str, change: str, sink: str) -> str:
    """Return the idempotency key of telling `sink` about `change` (fire, resolve, result).

    `subject` is the id of the mission, or of the firing where there is no mission.
    """
    return "d-" + digest([subject, change, sink])[:24]


def finding_id(check: str, obj: Mapping[str, Any], evidence: str) -> str:
    """Return the id of a finding, stable between runs."""
    return "x-" + digest([check, dict(obj), evidence])[:16]
