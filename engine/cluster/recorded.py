"""Snapshots on disk: any folder of manifests is one, and `save` writes the same form."""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from engine.analysis.text import redact
from engine.analysis.veil import Numbers, veiled
from engine.cluster.about import ABOUT, describe, read_about
from engine.cluster.clean import clean
from engine.desired.manifests import read_manifests
from engine.model.errors import SnapshotError
from engine.model.snapshot import ClusterSnapshot, Object, Snapshot

MAX_FILES = 50_000
MAX_LOG_BYTES = 1 << 20
_FAULTS_TOLD = 5
_OBJECTS_PER_FILE = 5_000
_SUFFIXES = {".yaml": False, ".yml": False, ".json": True}
_SALT = b"dogwatch recorded"
Key = tuple[str, str, str, str]


@dataclass
class _Found:
    """What was gathered of one cluster so far; `origin` says where an object came from."""

    objects: dict[Key, Object] = field(default_factory=dict)
    origin: dict[Key, str] = field(default_factory=dict)
    logs: dict[tuple[str, str, str, bool], str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] | None = None

    def fault(self, path: str, reason: str) -> None:
        known = self.unread.get(path)
        self.unread[path] = f"{known}; {reason}" if known else reason


def load(path: str | Path) -> Snapshot:
    """Return the snapshot in a folder, or in one file of manifests.

    Read are `*.yaml`, `*.yml` and `*.json` at any depth, `logs/NAMESPACE/POD/CONTAINER.log`
    (and `.previous.log`), `snapshot.yaml`, and the same under `clusters/NAME/`. Hidden files
    and links that lead outside are left alone. The one cluster of a folder without
    `clusters/` has the `name` in `snapshot.yaml`, or `default`. Of an object that occurs
    twice the later one counts, in order of path. Secret values become digests.

    Returns:
        Clusters in order of name. What could not be read is in the cluster's `unread`, by
        path relative to `path`, with the reason; everything else is there.

    Raises:
        SnapshotError: `path` does not exist, or holds neither an object nor snapshot.yaml.
    """
    root = Path(path)
    if not root.exists():
        raise SnapshotError(f"{root}: no such file or folder")
    found: dict[str, _Found] = {}
    for file, reason in _files(root) if root.is_dir() else [(root, "")]:
        relative = file.relative_to(root if root.is_dir() else root.parent)
        folder, inner = _cluster_of(relative) if root.is_dir() else ("", relative)
        cluster = found.setdefault(folder, _Found())
        if reason:
            cluster.fault(relative.as_posix(), reason)
        else:
            _read(file, relative.as_posix(), inner, cluster)
    clusters = [_snapshot(folder, cluster) for folder, cluster in found.items() if _counts(cluster)]
    if not clusters:
        raise SnapshotError(_nothing(root, found))
    return _by_name(root, clusters)


def _files(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield (file, why it can not be read or empty) in order of path."""
    top = root.resolve()
    count = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(folder)
        yield from (
            (here / name, "a link to a folder, not followed")
            for name in folders
            if (here / name).is_symlink()
        )
        for name in sorted(names):
            file = here / name
            if name.startswith(".") or file.suffix not in {*_SUFFIXES, ".log"}:
                continue
            count += 1
            if count > MAX_FILES:
                yield file, f"only {MAX_FILES} files are read; this one and the rest are not"
                return
            yield file, _unreadable(file, top)


def _unreadable(file: Path, top: Path) -> str:
    target = file.resolve()
    if not target.is_relative_to(top):
        return "a link that leads outside of the snapshot"
    return "" if target.is_file() else "no regular file"


def _cluster_of(relative: Path) -> tuple[str, Path]:
    """Split `clusters/NAME/rest` into (NAME, rest); other paths belong to ""."""
    parts = relative.parts
    if len(parts) > 2 and parts[0] == "clusters":  # noqa: PLR2004 - clusters, NAME, a file
        return unquote(parts[1]), Path(*parts[2:])
    return "", relative


def _read(file: Path, shown: str, inner: Path, cluster: _Found) -> None:
    """Read one file into `cluster`; `inner` is its place within the cluster's folder."""
    try:
        if file.suffix == ".log":
            _read_log(file, inner, cluster)
        elif inner.as_posix() == ABOUT:
            cluster.about, faults = read_about(file.read_bytes())
            for reason in faults:
                cluster.fault(shown, reason)
        elif file.suffix in _SUFFIXES:
            _read_objects(file, shown, cluster)
        else:
            cluster.fault(shown, f"neither of {', '.join(_SUFFIXES)}")
    except OSError as error:
        cluster.fault(shown, error.strerror or "can not be read")
    except ValueError as error:
        cluster.fault(shown, str(error))


def _read_objects(file: Path, shown: str, cluster: _Found) -> None:
    manifests = read_manifests(file.read_bytes(), is_json=_SUFFIXES[file.suffix])
    faults = [*manifests.faults, *manifests.unnamed]
    for reason in faults[:_FAULTS_TOLD]:
        cluster.fault(shown, reason)
    if len(faults) > _FAULTS_TOLD:
        cluster.fault(shown, f"and {len(faults) - _FAULTS_TOLD} more")
    for obj in manifests.objects:
        key = _key(obj)
        if key in cluster.objects:
            place = f"{key[2]}/{key[3]}" if key[2] else key[3]
            cluster.fault(
                shown, f"{key[1]} {place} is also in {cluster.origin[key]}; this one counts"
            )
        cluster.objects[key] = clean(obj, _SALT)
        cluster.origin[key] = shown


def _key(obj: Object) -> Key:
    metadata = obj["metadata"]
    return obj["apiVersion"], obj["kind"], metadata.get("namespace", ""), metadata["name"]


def _read_log(file: Path, inner: Path, cluster: _Found) -> None:
    if len(inner.parts) != 4 or inner.parts[0] != "logs":  # noqa: PLR2004 - the documented form
        return
    _, namespace, pod, name = (unquote(part) for part in inner.parts)
    container = name.removesuffix(".log")
    previous = container.endswith(".previous")
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - MAX_LOG_BYTES))
        text = stream.read(MAX_LOG_BYTES).decode(errors="replace")
    cluster.logs[namespace, pod, container.removesuffix(".previous"), previous] = text


def _counts(cluster: _Found) -> bool:
    return bool(cluster.objects) or cluster.about is not None


def _snapshot(folder: str, cluster: _Found) -> ClusterSnapshot:
    about = cluster.about or {}
    return ClusterSnapshot(
        name=folder or about.get("name") or "default",
        identity=about.get("identity", ""),
        version=about.get("version", ""),
        taken_at=about.get("taken_at"),
        objects=tuple(cluster.objects[key] for key in sorted(cluster.objects)),
        logs=dict(sorted(cluster.logs.items())),
        unread=dict(sorted({**about.get("unread", {}), **cluster.unread}.items())),
        capabilities=about.get("capabilities", {}),
        read=about.get("read"),
    )


def _nothing(root: Path, found: Mapping[str, _Found]) -> str:
    faults = [f"{path}: {why}" for c in found.values() for path, why in c.unread.items()]
    told = "".join(f"\n  {fault}" for fault in faults[:_FAULTS_TOLD])
    return f"{root}: no snapshot, it holds no Kubernetes object and no {ABOUT}{told}"


def _by_name(root: Path, clusters: list[ClusterSnapshot]) -> Snapshot:
    named = {cluster.name: cluster for cluster in sorted(clusters, key=lambda c: c.name)}
    if len(named) < len(clusters):
        names = [cluster.name for cluster in clusters]
        double = next(name for name in names if names.count(name) > 1)
        raise SnapshotError(f"{root}: two clusters are named {double}")
    return Snapshot(named)


def save(snapshot: Snapshot, path: str | Path) -> None:
    """Write `snapshot` as a folder that `load` reads back; equal snapshots, equal bytes.

    Credentials that stand in the clear are taken out, see engine.analysis.veil.

    One cluster lies in the folder itself, several in `clusters/NAME/`. The folder appears
    whole or not at all.

    Raises:
        SnapshotError: `snapshot` has no cluster, `path` exists and is not an empty folder,
            or the disk refused.
    """
    target = Path(path)
    if not snapshot.clusters:
        raise SnapshotError(f"{target}: a snapshot without a cluster can not be saved")
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise SnapshotError(f"{target}: exists and is not an empty folder; name another one")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        single = len(snapshot.clusters) == 1
        for name, cluster in snapshot.clusters.items():
            _save_cluster(cluster, partial if single else partial / "clusters" / _part(name))
        partial.replace(target)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise SnapshotError(f"{target}: can not be written: {error.strerror}") from error


def _save_cluster(cluster: ClusterSnapshot, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ABOUT).write_bytes(describe(cluster))
    kinds: dict[tuple[str, str], list[Object]] = {}
    numbers = Numbers()
    for obj in sorted(cluster.objects, key=_key):
        kept = veiled(clean(obj, _SALT), numbers)
        kinds.setdefault((obj["apiVersion"], obj["kind"]), []).append(kept)
    for (version, kind), objects in kinds.items():
        for number, start in enumerate(range(0, len(objects), _OBJECTS_PER_FILE), 1):
            name = _part(kind) + (f"-{number}" if number > 1 else "") + ".json"
            file = folder.joinpath("objects", *map(_part, version.split("/")), name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_list(objects[start : start + _OBJECTS_PER_FILE]))
    for (namespace, pod, container, previous), log in cluster.logs.items():
        name = _part(container) + (".previous.log" if previous else ".log")
        file = folder / "logs" / _part(namespace) / _part(pod) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = (redact(line) for line in log.splitlines(keepends=True))
        file.write_bytes("".join(lines).encode(errors="replace"))


def _list(objects: list[Object]) -> bytes:
    """One object a line, so that two snapshots can be compared by line."""
    lines = b",\n".join(msgspec.json.encode(obj, order="sorted") for obj in objects)
    return b'{"apiVersion":"v1","kind":"List","items":[\n' + lines + b"\n]}\n"


def _part(name: str) -> str:
    """Return `name` as one part of a path, whatever it holds."""
    quoted = quote(name, safe=":@ ")
    return "%2E" + quoted[1:] if quoted.startswith(".") else quoted
