"""Text to objects: YAML and JSON as kubectl reads them, lists unrolled, faults told."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import yaml

from engine.model import safe_yaml
from engine.model.snapshot import Object

MAX_YAML_BYTES = 32 << 20
MAX_JSON_BYTES = 256 << 20
MAX_NODES = 100_000
"""Plus four for each byte of the file: what aliases may grow to."""
MAX_DEPTH = 100
_MOST_BITS = 1024
"""Of a whole number: what is longer is no number that JSON can carry."""
_HELM = "; it looks like a Helm template, render it first (helm template)"


@dataclass
class Manifests:
    """What one file holds: objects in order, and one sentence for each fault.

    `unnamed` has a sentence for each object that is named when it is made (generateName).
    """

    objects: list[Object] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)


class ManifestLoader(safe_yaml.SafeLoader):
    """YAML with the scalars that kubectl knows.

    `yes`, `no`, `on`, `off` are booleans and `0644` is octal, as in a cluster's eyes.
    Dates, sexagesimal numbers, `.nan` and `=` are text: JSON has no such values.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own class attribute


class ManifestDumper(yaml.CSafeDumper):
    """Writes so that `ManifestLoader` reads the same values back."""

    yaml_implicit_resolvers = ManifestLoader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature of PyYAML
        """Never write anchors: equal parts are written out."""
        return True


_SCALARS = (
    ("bool", r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"),
    ("int", r"[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"),
    ("merge", r"<<"),
    ("null", r"~|null|Null|NULL|"),
)
_FIRST = {
    "bool": "yYnNtTfFoO",
    "int": "-+0123456789",
    "float": "-+0123456789.",
    "merge": "<",
    "null": ["~", "n", "N", ""],
}
for _name, _pattern in _SCALARS:
    ManifestLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})$"), list(_FIRST[_name])
    )


def _float(_loader: safe_yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return float(node.value)


ManifestLoader.add_constructor("tag:yaml.org,2002:float", _float)


def read_manifests(raw: bytes, *, is_json: bool) -> Manifests:
    """Return the objects of a file; never raises for what it holds.

    An object is a mapping with apiVersion, kind and metadata.name. Documents before a
    syntax fault are kept. A List, or a list of one kind such as PodList, gives its items.
    """
    found = Manifests()
    limit = MAX_JSON_BYTES if is_json else MAX_YAML_BYTES
    if len(raw) > limit:
        found.faults.append(f"larger than {limit >> 20} MiB")
        return found
    try:
        for document in _json(raw) if is_json else _yaml(raw):
            _add(document, found)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        found.faults.append(_syntax(error, raw))
    return found


def read_mapping(raw: bytes) -> dict[str, Any]:
    """Return the one mapping that a YAML file holds.

    Raises:
        ValueError: it is no YAML, or no mapping; the message says which, and none of the values.
    """
    try:
        documents = [d for d in _yaml(raw) if d is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(_syntax(error, raw)) from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ValueError("does not hold one mapping")
    return documents[0]


class _ManifestError(ValueError):
    """What is no manifest though it can be read; the message holds no value."""


def _json(raw: bytes) -> Iterator[Any]:
    document = msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"))
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [part for parent in level for part in _parts(parent) if type(part) in {dict, list}]
    if level:
        raise _ManifestError(f"more than {MAX_DEPTH} levels")
    yield document


def _parts(parent: Any) -> Iterable[Any]:
    return parent.values() if type(parent) is dict else parent


def _yaml(raw: bytes) -> Iterator[Any]:
    loader = ManifestLoader(raw)
    budget = [MAX_NODES + 4 * len(raw)]
    try:
        while loader.check_data():  # type: ignore[no-untyped-call] # gap in the stubs
            yield _plain(loader.get_data(), budget, 0)
    finally:
        loader.dispose()


def _plain(value: Any, budget: list[int], depth: int) -> Any:
    """Return `value` as JSON knows it; aliases are written out, within a budget of nodes."""
    budget[0] -= 1
    if budget[0] < 0 or depth > MAX_DEPTH:
        raise _ManifestError(f"too many values, or more than {MAX_DEPTH} levels, aliases counted")
    if isinstance(value, dict):
        return {_key(k): _plain(v, budget, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(item, budget, depth + 1) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise _ManifestError("holds a number that is too large")
    if value is None or isinstance(value, str | int | float):
        return value
    raise _ManifestError(f"holds a value of type {type(value).__name__}, which JSON does not know")


def _key(key: Any) -> str:
    return _text(_scalar(key))


def _text(value: Any) -> str:
    """Return a scalar as JSON writes it: `true`, `1`, `null`."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _add(document: Any, found: Manifests) -> None:
    if document is None:
        return
    if isinstance(document, list):
        for item in document:
            _add(item, found)
        return
    fault = _fault(document)
    if fault:
        found.faults.append(fault)
    elif isinstance(document.get("items"), list) and document["kind"].endswith("List"):
        for item in document["items"]:
            _add(_typed(item, document), found)
    elif not _has(document, "name"):
        told = found.unnamed if _has(document, "generateName") else found.faults
        told.append(f"{document['kind']} without metadata.name")
    else:
        found.objects.append(_text_labels(document))


def _fault(document: Any) -> str:
    if not isinstance(document, dict):
        return f"a {type(document).__name__} where an object is expected"
    for name in ("apiVersion", "kind"):
        if not isinstance(document.get(name), str) or not document[name]:
            return f"no Kubernetes object: it has no {name}"
    return ""


def _has(document: Object, name: str) -> bool:
    metadata = document.get("metadata")
    return isinstance(metadata, dict) and isinstance(metadata.get(name), str | int)


def _typed(item: Any, parent: Object) -> Any:
    """Give an item of a PodList the kind Pod: the API leaves it out there."""
    if isinstance(item, dict) and "kind" not in item and parent["kind"] != "List":
        kind = parent["kind"].removesuffix("List")
        return {"apiVersion": parent["apiVersion"], "kind": kind, **item}
    return item


def _text_labels(document: Object) -> Object:
    """Make names, labels and annotations text, as the API demands them."""
    metadata = dict(document["metadata"])
    for name in ("name", "namespace"):
        if name in metadata:
            metadata[name] = "" if metadata[name] is None else _text(metadata[name])
    for name in ("labels", "annotations"):
        entries = metadata.get(name)
        if isinstance(entries, dict):
            metadata[name] = {k: _text(v) for k, v in entries.items()}
        elif name in metadata:
            del metadata[name]
    return {**document, "metadata": metadata}


def _syntax(error: Exception, raw: bytes) -> str:
    """Return what is wrong and where, in words of our own: values may be those of Secrets."""
    if isinstance(error, _ManifestError):
        why = str(error)
    elif isinstance(error, RecursionError):
        why = "nested too deeply"
    elif isinstance(error, yaml.YAMLError):
        why = safe_yaml.fault(error)
    elif isinstance(error, msgspec.DecodeError):
        why = f"not JSON: {error}"
    else:
        why = "not text in UTF-8"
    return why + (_HELM if b"{{" in raw else "")
