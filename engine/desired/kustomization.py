"""What one kustomization refers to, found before the program reads it; pure.

A field is taken only as it is documented, letter by letter: the program would take it in any
case, and what is not looked at here could name a place to fetch from. No fault holds what stands
in a kustomization: it may be the value of a Secret.

Source: sigs.k8s.io/kustomize/api/types, Kustomization.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from engine.desired.manifests import read_manifests
from engine.model.errors import DesiredError

_REFUSED: Final[Mapping[str, str]] = {
    "generators": "plugins are not run",
    "transformers": "plugins are not run",
    "validators": "plugins are not run",
    "helmCharts": "charts are not fetched",
    "helmChartInflationGenerator": "charts are not fetched",
    "helmGlobals": "charts are not fetched",
}
_PLAIN: Final = frozenset(
    {
        "apiVersion", "kind", "metadata", "namePrefix", "nameSuffix", "namespace", "commonLabels",
        "labels", "commonAnnotations", "images", "imageTags", "replicas", "vars", "sortOptions",
        "generatorOptions", "buildMetadata",
    }
)  # fmt: skip
"""Fields that name no file."""
_LISTS: Final = frozenset({"resources", "bases", "components", "crds", "configurations"})
"""Lists of files and folders."""
_INLINE: Final = "patchesStrategicMerge"
"""A list of files, or of patches themselves."""
_PATCH: Final = frozenset({"path", "patch", "target", "options"})
_MAKER: Final = frozenset(
    {
        "name", "namespace", "behavior", "immutable", "literals", "files", "envs", "env", "options",
        "type",
    }
)  # fmt: skip
_ENTRIES: Final[Mapping[str, frozenset[str]]] = {
    "patches": _PATCH,
    "patchesJson6902": _PATCH,
    "replacements": frozenset({"path", "source", "targets"}),
    "configMapGenerator": _MAKER,
    "secretGenerator": _MAKER,
}
"""Lists of mappings that may name files, with their fields."""
_OPENAPI: Final = frozenset({"path", "version"})
_KNOWN: Final = frozenset({*_REFUSED, *_PLAIN, *_LISTS, _INLINE, *_ENTRIES, "openapi"})
_PATCH_ITSELF = re.compile(r"\s*(?:[{#-]|[A-Za-z]+:\s)")
"""How a patch begins, and no address does."""
_NOT_PLAIN = re.compile(r"[^ -~]")


class Reference(NamedTuple):
    """A file or folder that is referred to, and the field that does so, such as `resources[0]`."""

    place: str
    path: str


def references(kustomization: Mapping[str, Any], file: str) -> list[Reference]:
    """Return the files and folders that the kustomization in `file` refers to.

    Raises:
        DesiredError: `refused`, for what would run or fetch something, and for a field that is
            not known; `malformed`.
    """
    try:
        return list(_references(kustomization))
    except DesiredError as error:
        raise DesiredError(error.reason, f"{file}: {error}") from error


def written(kustomization: Mapping[str, Any]) -> bytes:
    """Return the kustomization as a program is given it: every parser reads the same in it.

    Of keys that are there twice, of merged ones and of anchors readers of YAML take each its own.
    """
    text = json.dumps(kustomization, ensure_ascii=False)
    return _NOT_PLAIN.sub(lambda found: f"\\U{ord(found[0]):08x}", text).encode()


def _references(kustomization: Mapping[str, Any]) -> Iterator[Reference]:
    _only(_KNOWN, kustomization, "")
    for name, value in kustomization.items():
        if name in _REFUSED and value:
            raise DesiredError("refused", f"{name}: {_REFUSED[name]}")
        if name in _LISTS:
            yield from _texts(name, value)
        elif name == _INLINE:
            yield from (one for one in _texts(name, value) if not _is_patch(one.path))
        elif name == "openapi":
            yield from _path(_mapping(name, value, _OPENAPI), name)
        elif name in _ENTRIES:
            for place, one in _items(name, value):
                yield from _entry(_mapping(place, one, _ENTRIES[name]), place)


def _entry(entry: Mapping[str, Any], place: str) -> Iterator[Reference]:
    yield from _path(entry, place)
    for reference in _texts(f"{place}.files", entry.get("files")):
        yield reference._replace(path=reference.path.rpartition("=")[2])
    yield from _texts(f"{place}.envs", entry.get("envs"))
    if entry.get("env"):
        yield Reference(f"{place}.env", _text(f"{place}.env", entry["env"]))


def _path(entry: Mapping[str, Any], place: str) -> Iterator[Reference]:
    if entry.get("path"):
        yield Reference(f"{place}.path", _text(f"{place}.path", entry["path"]))


def _texts(place: str, value: Any) -> Iterator[Reference]:
    yield from (Reference(at, _text(at, one)) for at, one in _items(place, value) if one)


def _items(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if value is not None and not isinstance(value, list):
        raise DesiredError("malformed", f"{place}: not a list")
    yield from ((f"{place}[{number}]", one) for number, one in enumerate(value or ()))


def _mapping(place: str, value: Any, known: frozenset[str]) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DesiredError("malformed", f"{place}: not a mapping")
    _only(known, value, place)
    return value


def _text(place: str, value: Any) -> str:
    if not isinstance(value, str):
        raise DesiredError("malformed", f"{place}: not text")
    return value


def _only(known: frozenset[str], given: Mapping[str, Any], place: str) -> None:
    """Refuse a field that is not known; one that is known but for its case is named."""
    for name in given.keys() - known:
        meant = next((one for one in known if one.casefold() == name.casefold()), None)
        why = f"write '{meant}' so" if meant else f"known: {', '.join(sorted(known))}"
        where = f"{place}: " if place else ""
        raise DesiredError("refused", f"{where}a field that is not known; {why}")


def _is_patch(text: str) -> bool:
    """Whether the text is a patch itself and no name of a file."""
    found = read_manifests(text.encode(), is_json=False)
    return bool(_PATCH_ITSELF.match(text) and found.objects and not found.faults)
