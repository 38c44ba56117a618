"""Signals for a flood: of every kind, and any mixture of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st

from engine.app.intake.entry import Batch, Entry
from engine.model.signal import Signal

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_signal(number: int, kind: str, data: dict[str, Any], at_s: float = 0.0) -> Signal:
    return Signal(
        id=f"s{number}",
        source="test",
        type=kind,
        time=NOON + timedelta(seconds=at_s),
        cluster="c1",
        data=data,
    )


def a_pod(number: int, name: str, at_s: float = 0.0, **data: Any) -> Signal:
    told = {"kind": "Pod", "uid": name, "change": "modified", "resourceVersion": str(number)}
    return a_signal(number, "k8s.object", told | data, at_s)


def a_sample(number: int, series: str, value: float, at_s: float = 0.0) -> Signal:
    data = {"metric": "m", "labels": {"series": series}, "value": value}
    return a_signal(number, "metric", data, at_s)


def waiting(*signals: Signal) -> list[Entry]:
    """Return the entries of signals of one cluster."""
    return [entry for entries in Batch(signals).entries.values() for entry in entries]


def ids(entries: list[Entry]) -> list[str]:
    return [entry.id for entry in entries]


def data_of(entry: Entry) -> dict[str, Any]:
    return msgspec.json.decode(entry.raw, type=Signal).data


_NAMES = st.sampled_from(["a", "b", "c"])
_KINDS = st.one_of(
    st.builds(
        lambda name, change, phase, old: (
            "k8s.object",
            {"kind": "Pod", "uid": name, "change": change, "phase": phase}
            | ({"old": {"was": old}} if change == "modified" else {}),
        ),
        _NAMES,
        st.sampled_from(["added", "modified", "modified", "deleted", "synced"]),
        st.sampled_from(["Running", "Pending"]),
        st.integers(0, 3),
    ),
    st.builds(
        lambda name, ready: ("k8s.object", {"kind": "Node", "uid": name, "ready": ready}),
        _NAMES,
        st.booleans(),
    ),
    st.builds(
        lambda name, value: ("metric", {"metric": "m", "labels": {"n": name}, "value": value}),
        _NAMES,
        st.integers(0, 2),
    ),
    st.builds(
        lambda name, kind, count: ("k8s.event", {"uid": name, "eventType": kind, "count": count}),
        _NAMES,
        st.sampled_from(["Normal", "Warning"]),
        st.integers(1, 3),
    ),
    st.builds(
        lambda name, xid: ("hardware", {"kind": "gpu", "name": name, "uid": name, "xid": xid}),
        _NAMES,
        st.sampled_from([0, 0, 79]),
    ),
    st.sampled_from(
        [("alert", {"alert": "x"}), ("watcher.heartbeat", {}), ("my.own", {"uid": "a"})]
    ),
)


@st.composite
def floods(draw: st.DrawFn) -> list[Signal]:
    """Draw up to 40 signals of one cluster in order of time, some of them twice."""
    drawn = draw(st.lists(_KINDS, max_size=40))
    made = [a_signal(at, kind, data, at) for at, (kind, data) in enumerate(drawn)]
    return [one for one in made for _ in range(draw(st.sampled_from([1, 1, 1, 2])))]
