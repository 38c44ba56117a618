"""The veil: credentials that people write where they do not belong, taken out of objects. Pure.

Before the bus, and where a snapshot is written; never before a change is worked out, which has to
know what there is. Values of Secrets are gone earlier (engine.cluster.clean); what is left are
annotations, variables and arguments in the clear.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2s
from typing import Any, Final

from engine.analysis.text import REDACTED, redact
from engine.model.watch import Object

LONGEST: Final = 4096
"""Characters of an annotation, a variable or an argument; longer ones are left out."""
_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
_TEMPLATES: Final = ("template", "jobTemplate")
_DIGEST: Final = re.compile(r"(?i)checksum|digest|hash|sha\d|revision|commit|containerid")
"""Annotations whose long hexadecimal values are no keys: rollouts are seen by them."""
_HARMLESS: Final = re.compile(r"(?:/[a-z0-9_.-]+){2,}|true|false|\d{1,5}|\d+(?:ms|s|m|h|d)")
"""What is no credential whatever its name is: TOKEN_PATH, TOKEN_TTL."""
_HEX: Final = re.compile(r"[0-9a-f]{7,128}")
_MARKED: Final = re.compile(r"\[redacted [0-9a-f]{1,16}\]")
"""What was taken out before."""


Mark = Callable[[str], str]


class Numbers:
    """Marks by number, in order of appearance: equal texts equal marks, and nothing to guess by."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def __call__(self, text: str) -> str:
        """Return the number of `text`."""
        return str(self._seen.setdefault(text, len(self._seen) + 1))


def salted(salt: bytes) -> Mark:
    """Return marks that are digests under `salt`, which nobody else must know."""
    return lambda text: blake2s(text.encode(errors="replace"), key=salt, digest_size=4).hexdigest()


def veiled(obj: Object, mark: Mark) -> Object:
    """Return `obj` with what looks like a credential replaced by `[redacted MARK]`.

    In annotations, and in variables, arguments and commands of containers, of the object itself
    and of the Pods that it makes; found by its name, its shape, or as random (see
    engine.analysis.text.redact). Parts that hold none are those of `obj`.

    Args:
        obj: a raw JSON object; it is left as it is.
        mark: given the text that is replaced, what stands for it: that it changed is still seen.
    """
    return _Veil(mark).object(obj)


class _Veil:
    def __init__(self, mark: Mark) -> None:
        self._mark = mark

    def object(self, obj: Object) -> Object:
        kept = dict(obj)
        metadata, spec = obj.get("metadata"), obj.get("spec")
        if isinstance(metadata, dict) and isinstance(metadata.get("annotations"), dict):
            notes = metadata["annotations"]
            annotations = {name: self._value(name, text) for name, text in notes.items()}
            kept["metadata"] = {**metadata, "annotations": annotations}
        if isinstance(spec, dict):
            kept["spec"] = self._spec(spec)
        return kept

    def _spec(self, spec: dict[str, Any]) -> dict[str, Any]:
        kept = dict(spec)
        for name in _CONTAINERS:
            if isinstance(spec.get(name), list):
                kept[name] = [self._container(one) for one in spec[name]]
        for name in _TEMPLATES:
            if isinstance(spec.get(name), dict):
                kept[name] = self.object(spec[name])
        return kept

    def _container(self, one: Any) -> Any:
        if not isinstance(one, dict):
            return one
        kept = dict(one)
        if isinstance(one.get("env"), list):
            kept["env"] = [self._variable(each) for each in one["env"]]
        for name in ("args", "command"):
            if isinstance(one.get(name), list):
                kept[name] = self._words(one[name])
        return kept

    def _variable(self, one: Any) -> Any:
        if not isinstance(one, dict):
            return one
        text = one.get("value")
        told = self._value(one.get("name"), text)
        return one if told == text else {**one, "value": told}

    def _words(self, words: list[Any]) -> list[Any]:
        """Return arguments; one may name what the next one is: `--password`, `secret`."""
        kept, before = [], ""
        for word in words:
            kept.append(self._value(before if before.startswith("-") else "", word))
            before = word if isinstance(word, str) else ""
        return kept

    def _value(self, name: Any, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        if len(text) > LONGEST:
            return f"[{len(text)} characters left out, {self._mark(text)}]"
        told = _veiled(name if isinstance(name, str) else "", text)
        return text if told == text else told.replace(REDACTED, f"[redacted {self._mark(text)}]")


@lru_cache(maxsize=4096)
def _veiled(name: str, text: str) -> str:
    digest = _HEX.fullmatch(text) and _DIGEST.search(name)
    if digest or _HARMLESS.fullmatch(text) or _MARKED.fullmatch(text):
        return text
    # A text of several words is judged whole by its name: `PASSWORD=correct horse`.
    told = redact(f"{name}=x") if name else ""
    if told.endswith(f"={REDACTED}"):
        return REDACTED if text else text
    line = text.replace("\n", " ")  # a private key has many lines
    told = redact(line)
    return text if told == line else told
