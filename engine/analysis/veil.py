"""The veil: credentials that people write where they do not belong, taken out of objects. Pure.

Before the bus, and where a snapshot is written; never before a change is worked out, which has to
know what there is. Values of Secrets are gone earlier (engine.cluster.clean); what is left are
annotations, variables, arguments, headers of probes and options of volumes in the clear.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2s
from typing import Any, Final

from engine.analysis.spoken import in_line, in_words, named
from engine.analysis.text import REDACTED, redact
from engine.model.watch import Object

LONGEST: Final = 4096
"""Characters of an annotation, a variable or an argument; longer ones are left out."""
_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
_TEMPLATES: Final = ("template", "jobTemplate")
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS: Final = ("postStart", "preStop")
_DIGEST: Final = re.compile(r"(?i)checksum|digest|hash|sha\d|revision|commit|containerid")
"""Annotations whose long hexadecimal values are no keys: rollouts are seen by them."""
_HARMLESS: Final = re.compile(
    r"(?:/[a-z0-9_.-]+){2,}|true|false|\d{1,5}|\d+(?:ms|s|m|h|d)|\$\(\w+\)"
)
"""What is no credential whatever its name is: TOKEN_PATH, TOKEN_TTL, another variable."""
_OF_A_NAME: Final = re.compile(r"(?i)(?:name|namespace|providerclass)$")
"""Names of what only names a secret: secretName, secretProviderClass."""
_HEX: Final = re.compile(r"[0-9a-f]{7,128}")
_MARKED: Final = re.compile(r"\[redacted [0-9a-f]{1,16}\]")
"""What was taken out before."""


Mark = Callable[[str], str]
Step = Callable[[Any], Any]


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

    In annotations, parameters of classes and options of volumes; in variables, arguments, commands
    and probes of containers; of the object itself and of the Pods that it makes. Found by its name,
    its shape, the command that takes it, or as random (see engine.analysis.text.redact and
    engine.analysis.spoken). Parts that hold none are those of `obj`.

    Args:
        obj: a raw JSON object; it is left as it is.
        mark: given the text that is replaced, what stands for it: that it changed is still seen.
    """
    return _Veil(mark).object(obj)


class _Veil:
    def __init__(self, mark: Mark) -> None:
        self._mark = mark

    def object(self, obj: Object) -> Object:
        steps = {"metadata": self._metadata, "spec": self._spec, "parameters": self._values}
        return dict(_changed(obj, steps))

    def _made(self, template: Any) -> Any:
        return self.object(template) if isinstance(template, dict) else template

    def _metadata(self, metadata: Any) -> Any:
        return _changed(metadata, {"annotations": self._values})

    def _spec(self, spec: Any) -> Any:
        own = dict.fromkeys(_CONTAINERS, _each(self._container))
        made = dict.fromkeys(_TEMPLATES, self._made)
        volumes = {"volumes": _each(self._volume)}
        return self._volume(_changed(spec, own | made | volumes))

    def _volume(self, one: Any) -> Any:
        """Return a volume, or the spec of a PersistentVolume."""
        steps: dict[str, Step] = {
            "csi": lambda part: _changed(part, {"volumeAttributes": self._values}),
            "flexVolume": lambda part: _changed(part, {"options": self._values}),
        }
        return _changed(one, steps)

    def _container(self, one: Any) -> Any:
        command = one.get("command") if isinstance(one, dict) else None
        hooks = dict.fromkeys(_HOOKS, self._handler)
        steps: dict[str, Step] = {
            **dict.fromkeys(_PROBES, self._handler),
            "lifecycle": lambda part: _changed(part, hooks),
            "env": _each(self._variable),
            "command": self._words,
            "args": lambda words: self._words(words, command),
        }
        return _changed(one, steps)

    def _handler(self, one: Any) -> Any:
        """Return a probe or a hook."""
        http: dict[str, Step] = {
            "httpHeaders": _each(self._variable),
            "path": lambda text: self._value("", text),
        }
        steps: dict[str, Step] = {
            "exec": lambda part: _changed(part, {"command": self._words}),
            "httpGet": lambda part: _changed(part, http),
        }
        return _changed(one, steps)

    def _variable(self, one: Any) -> Any:
        if not isinstance(one, dict):
            return one
        text = one.get("value")
        told = self._value(one.get("name"), text)
        return one if told == text else {**one, "value": told}

    def _values(self, texts: Any) -> Any:
        if not isinstance(texts, dict):
            return texts
        return {name: self._value(name, text) for name, text in texts.items()}

    def _words(self, words: Any, before: Any = None) -> Any:
        """Return arguments; one may name what the next one is: `--password`, `secret`."""
        if not isinstance(words, list):
            return words
        texts = tuple(map(_short, words))
        command = tuple(map(_short, before)) if isinstance(before, list) else ()
        kept, last = [], ""
        for word, text, told in zip(words, texts, in_words(texts, command), strict=True):
            kept.append(self._told(text, told) if told != text else self._argument(last, word))
            last = text
        return kept

    def _argument(self, last: str, word: Any) -> Any:
        return self._value(last if last.startswith("-") else "", word)

    def _value(self, name: Any, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        if len(text) > LONGEST:
            return f"[{len(text)} characters left out, {self._mark(text)}]"
        return self._told(text, _veiled(name if isinstance(name, str) else "", text))

    def _told(self, text: str, told: str) -> str:
        return text if told == text else told.replace(REDACTED, f"[redacted {self._mark(text)}]")


def _short(word: Any) -> str:
    return word if isinstance(word, str) and len(word) <= LONGEST else ""


def _changed(holder: Any, steps: Mapping[str, Step]) -> Any:
    """Return `holder`, of any shape, with its fields that are in `steps` changed by these."""
    if not isinstance(holder, dict):
        return holder
    return {name: steps[name](one) if name in steps else one for name, one in holder.items()}


def _each(step: Step) -> Step:
    return lambda found: [step(one) for one in found] if isinstance(found, list) else found


@lru_cache(maxsize=4096)
def _veiled(name: str, text: str) -> str:
    digest = _HEX.fullmatch(text) and _DIGEST.search(name)
    if digest or _HARMLESS.fullmatch(text) or _MARKED.fullmatch(text):
        return text
    # A text of several words is judged whole by its name: `PASSWORD=correct horse`.
    told = redact(f"{name}=x") if name and not _OF_A_NAME.search(name) else ""
    if told.endswith(f"={REDACTED}") or named(name, text):
        return REDACTED if text else text
    spoken = in_line(text)
    line = spoken.replace("\n", " ")  # a private key has many lines
    told = redact(line)
    return spoken if told == line else told
