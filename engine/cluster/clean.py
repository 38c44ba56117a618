"""What is dropped from an object before anything of ours keeps it, and what is said instead."""

import hashlib
import re
from typing import Any

from engine.model.signal import MADE_BY
from engine.model.snapshot import Object

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
DIGEST = "salted-sha256:"
_DIGEST = re.compile(DIGEST + "[0-9a-f]{64}")


def clean(obj: Object, salt: bytes) -> Object:
    """Return `obj` without managedFields, last-applied configuration and Secret values.

    Args:
        obj: a raw JSON object; it is left as it is.
        salt: makes digests of Secret values useless to somebody who guesses values, as
            long as it stays secret. Equal values of equal salts have equal digests.

    Returns:
        A shallow copy. Secrets keep their keys; each value is `salted-sha256:` and 64 hex
        digits, and a value of that form stays as it is, so cleaning twice changes nothing.
        Where managedFields say that dogwatch wrote last, `madeBy` says so.
    """
    cleaned = dict(obj)
    metadata = obj.get("metadata")
    if isinstance(metadata, dict):
        cleaned["metadata"] = _metadata(metadata)
        if _ours(metadata.get("managedFields")):
            cleaned["madeBy"] = MADE_BY
    if obj.get("kind") == "Secret" and obj.get("apiVersion") == "v1":
        for field in ("data", "stringData"):
            if field in obj:
                cleaned[field] = _digests(obj[field], salt)
    return cleaned


def whole(obj: Object, salt: bytes) -> Object:
    """Return `obj` as `clean` does, but with managedFields and without what it says of them."""
    kept = clean(obj, salt)
    kept.pop("madeBy", None)
    metadata = obj.get("metadata")
    if isinstance(metadata, dict) and "managedFields" in metadata:
        kept["metadata"] = {**kept["metadata"], "managedFields": metadata["managedFields"]}
    return kept


def _ours(managed: Any) -> bool:
    """Whether dogwatch wrote last; of two writers in one second the other one is said to."""
    entries = [one for one in managed if isinstance(one, dict)] if isinstance(managed, list) else []
    ours = [one for one in entries if str(one.get("manager", "")).startswith(MADE_BY)]
    others = (str(one.get("time", "")) for one in entries if one not in ours)
    newest = max(others, default="")
    return any(str(one.get("time", "")) > newest for one in ours)


def _metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in metadata.items() if name != "managedFields"}
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict) and LAST_APPLIED in annotations:
        kept["annotations"] = {k: v for k, v in annotations.items() if k != LAST_APPLIED}
    return kept


def _digests(values: Any, salt: bytes) -> Any:
    if not isinstance(values, dict):
        return {}
    return {key: _digest(value, salt) for key, value in values.items()}


def _digest(value: Any, salt: bytes) -> str:
    text = str(value)
    if _DIGEST.fullmatch(text):
        return text
    return DIGEST + hashlib.sha256(salt + b"\0" + text.encode()).hexdigest()
