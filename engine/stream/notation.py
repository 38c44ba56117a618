"""The notation of test signals in rule files, after promtool's.

`at` is an instant (`90s`, from the start of the test) or a range `0s..9m/90s`: from 0 s to 9 m,
both included, every 90 s. Along a range of several instants a value of `data` may run:

- `0+1` counts up by 1 from 0, `100-2.5` down; `0+1x5` does so five times and then stays,
- a list with exactly one element for each instant gives one after the other.

Every other value is the same at each instant. What a signal needs beyond that is given: cluster
`test`, for objects and Events namespace `default`, `workload` (the `owner`, else the name), a
uid from kind, namespace and name, `change` (added, then modified), a counting resourceVersion;
for an Event a growing `count`. Signals of the second stage are of no cluster: one that is given
is what they are about. A condition is firing, as one of what its other fields name; a cluster
has joined.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.model.instant import from_us, parse_duration
from engine.model.signal import SECOND_STAGE, Signal

EPOCH_US: Final = 1_767_225_600_000_000
"""Where the virtual clock of tests starts: 2026-01-01T00:00:00Z."""
_RUN: Final = re.compile(r"(-?\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)(?:x(\d+))?\Z")
_RANGE: Final = re.compile(r"(\S+?)\.\.(\S+?)/(\S+)\Z")
_MOST: Final = 100_000
_SECOND: Final[Mapping[str, Mapping[str, Any]]] = {
    "condition": {
        "rule": "test",
        "state": "firing",
        "labels": {},
        "key": {},
        "value": {},
        "members": [],
        "shadow": False,
        "depth": 0,
    },
    "mission": {"mission": "m-test", "rule": "", "firing": "", "depth": 0},
    "cluster": {"cluster": "test", "change": "joined"},
    "clock": {},
}
"""What a signal of the second stage holds where the test says nothing."""
_NAMING: Final = ("rule", "cluster", "namespace", "kind", "workload", "name", "node")
_CLUSTER_WIDE: Final = frozenset({"Node", "Namespace", "PersistentVolume", "StorageClass"})


def instants(text: str) -> list[int]:
    """Return the instants that `at` names, in microseconds of the virtual clock.

    Raises:
        ValueError: `text` is neither an instant nor a range, or a range of too many instants.
    """
    match = _RANGE.match(text)
    if match is None:
        return [EPOCH_US + parse_duration(text)]
    first, last, every = (parse_duration(part) for part in match.groups())
    if every == 0 or last < first:
        raise ValueError(f"'{text}' is no range; write for example 0s..9m/90s")
    if (last - first) // every >= _MOST:
        raise ValueError(f"'{text}' has more than {_MOST} instants")
    return [EPOCH_US + at for at in range(first, last + 1, every)]


def signals(entries: Mapping[str, Any] | list[Mapping[str, Any]]) -> list[Signal]:
    """Return the signals of a test, in order of time, and as written at one instant.

    Raises:
        ValueError: an `at` could not be read.
    """
    listed = [entries] if isinstance(entries, Mapping) else entries
    moments = [(at, data, entry) for entry in listed for at, data in _moments(entry)]
    moments.sort(key=lambda one: one[0])
    seen: Counter[str] = Counter()
    return [_signal(at, data, entry, seen) for at, data, entry in moments]


def _moments(entry: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    times = instants(str(entry["at"]))
    data = dict(entry.get("data") or {})
    for place, at in enumerate(times):
        yield at, {name: _along(value, place, len(times)) for name, value in data.items()}


def _along(value: Any, place: int, count: int) -> Any:
    """Return what `value` is at the instant `place` of `count`."""
    if count == 1:
        return value
    if isinstance(value, dict):
        return {name: _along(one, place, count) for name, one in value.items()}
    if isinstance(value, list):
        return value[place] if len(value) == count else value
    match = _RUN.match(value) if isinstance(value, str) else None
    return _step(match, place) if match else value


def _step(match: re.Match[str], place: int) -> float:
    start, step, times = match.groups()
    steps = min(place, int(times)) if times else place
    if "." in start + step:
        return float(start) + steps * float(step)
    return int(start) + steps * int(step)


def _signal(at: int, data: dict[str, Any], entry: Mapping[str, Any], seen: Counter[str]) -> Signal:
    kind = str(entry["type"])
    cluster = str(entry.get("cluster", "test"))
    source = str(entry.get("source", f"test/{cluster}"))
    if kind in SECOND_STAGE:
        data, cluster = _complete_second(kind, data, entry), ""
    if kind in {"k8s.object", "k8s.event"}:
        data = _complete(kind, data, seen, cluster)
    seen["#"] += 1
    identity = str(entry.get("id") or _identity(kind, cluster, data) or f"test-{seen['#']}")
    return Signal(
        id=identity,
        source=source,
        type=kind,
        time=from_us(at),
        cluster=cluster,
        subject=entry.get("subject"),
        data=data,
    )


def _complete(kind: str, data: dict[str, Any], seen: Counter[str], cluster: str) -> dict[str, Any]:
    """Add what every object or Event has and the test left out."""
    name = str(data.get("name", "test"))
    wide = {} if data.get("kind") in _CLUSTER_WIDE else {"namespace": "default"}
    given = {"name": name, **wide, "labels": {}, "workload": data.get("owner", name), **data}
    place = f"{given.get('kind')}/{given.get('namespace', '')}/{name}"
    if kind == "k8s.event":
        given.setdefault("uid", f"{place}/{given.get('reason', '')}")
        seen[f"{cluster} {given['uid']}"] += 1
        given.setdefault("count", seen[f"{cluster} {given['uid']}"])
        return given
    given.setdefault("uid", place)
    seen[f"{cluster} {given['uid']}"] += 1
    version = seen[f"{cluster} {given['uid']}"]
    given.setdefault("resourceVersion", str(version))
    given.setdefault("change", "added" if version == 1 else "modified")
    return given


def _complete_second(kind: str, data: dict[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Add what every signal of the second stage has and the test left out."""
    about = {"cluster": str(entry["cluster"])} if "cluster" in entry else {}
    given = {**_SECOND[kind], **about, **data}
    if kind == "condition" and given["state"] in {"firing", "resolved"}:
        given.setdefault("firing", "/".join(str(given.get(name, "")) for name in _NAMING))
    return given


def _identity(kind: str, cluster: str, data: Mapping[str, Any]) -> str:
    if kind == "k8s.event":
        return f"{cluster}/{data['uid']}:{data['count']}"
    if kind == "k8s.object":
        return f"{cluster}/{data['uid']}@{data['resourceVersion']}"
    return ""


def offset(at: int) -> int:
    """Return the microseconds since the start of the test at `at`."""
    return at - EPOCH_US
