"""Activity and last writes: what is read off objects and Events, and remembered over restarts."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.errors import StoreError
from engine.model.signal import Signal
from engine.model.watch import Change, ChangeType
from tests.watchers.sources import NOON, after, an_object
from tests.watchers.virtual import at_once
from watchers.activity import Activity, remembered
from watchers.memory import Forgetful
from watchers.written import written

SHOP = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "uid": "u"}}


def an_event(change: str, last: str) -> Signal:
    data = {"namespace": "shop", "change": change, "lastTime": last}
    return Signal(id=f"e{last}", source="s", type="k8s.event", time=NOON, cluster="c", data=data)


def known(**kept: bytes) -> Activity:
    activity = Activity()
    activity.recall(kept)
    activity.saw(Change(ChangeType.SYNCED, SHOP), NOON)
    return activity


def test_nothing_is_said_before_it_is_recalled_what_was_known() -> None:
    activity = Activity()
    activity.saw(Change(ChangeType.ADDED, an_object("Pod", "web")), NOON)
    assert activity.of("shop") is None
    activity.recall({})
    assert activity.of("shop") == NOON


def test_events_count_old_ones_by_the_time_that_they_name() -> None:
    activity = known()
    activity.heard([an_event("synced", "2025-12-24T00:00:00Z"), an_event("synced", "once")])
    assert str(activity.of("shop")) == "2025-12-24 00:00:00+00:00"
    activity.heard([an_event("added", "2025-12-25T00:00:00Z")])
    assert activity.of("shop") == NOON


def test_only_hours_are_worth_remembering_and_what_is_gone_is_forgotten() -> None:
    activity = known(old=b"2025-12-24T00:00:00+00:00")
    pod = an_object("Pod", "web")
    for second in (0, 60, 3599):
        activity.saw(Change(ChangeType.MODIFIED, pod, pod), after(second))
    assert activity.changes() == {"shop": NOON.isoformat().encode()}
    activity.saw(Change(ChangeType.MODIFIED, pod, pod), after(3600))
    activity.settle()
    assert activity.changes() == {"shop": after(3600).isoformat().encode(), "old": None}
    activity.saw(Change(ChangeType.DELETED, SHOP), after(3700))
    assert activity.changes() == {"shop": None}
    assert activity.of("shop") is None


class Twice(Forgetful):
    """A store that is away each other time."""

    away = True

    async def recall(self, keys: Any = ()) -> dict[str, bytes]:
        self.stumble()
        return await super().recall(keys)

    async def keep(self, changes: Mapping[str, bytes | None]) -> None:
        self.stumble()
        await super().keep(changes)

    def stumble(self) -> None:
        self.away = not self.away
        if not self.away:
            raise StoreError("away")


def test_a_store_that_is_away_loses_nothing() -> None:
    memory, activity = Twice(), Activity()

    async def main() -> None:
        async with remembered(activity, memory):
            await asyncio.sleep(100)
            activity.saw(Change(ChangeType.ADDED, SHOP), NOON)
            await asyncio.sleep(200)

    at_once(main())
    memory.away = False
    assert at_once(memory.recall()) == {"shop": NOON.isoformat().encode()}


def managed(*entries: Any, kind: str = "Secret") -> dict[str, Any]:
    return an_object(kind, "db", metadata={"managedFields": list(entries)})


def entry(time: Any, *owned: str) -> dict[str, Any]:
    return {"manager": "m", "time": time, "fieldsV1": {name: {} for name in owned}}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (
            managed(entry("2026-01-02T00:00:00Z", "f:data"), entry("2026-01-03T00:00:00Z", "f:x")),
            {"written": "2026-01-03T00:00:00Z", "rotated": "2026-01-02T00:00:00Z"},
        ),
        (managed(entry("2026-01-03T00:00:00Z", "f:x")), {"written": "2026-01-03T00:00:00Z"}),
        (managed(entry(1, "f:data"), "odd", {"fieldsV1": 3}), {}),
        (
            managed(entry("2026-01-02T00:00:00Z", "f:data"), kind="ConfigMap"),
            {"written": "2026-01-02T00:00:00Z"},
        ),
        ({"kind": "Node", "metadata": {"managedFields": [entry("2026-01-02T00:00:00Z")]}}, {}),
        ({"kind": "Secret", "metadata": {"namespace": "shop", "managedFields": {}}}, {}),
        ({"kind": "Secret"}, {}),
    ],
)
def test_the_last_write_is_that_of_whoever_wrote_last(
    obj: dict[str, Any], expected: dict[str, str]
) -> None:
    assert written(obj) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("time", "fieldsV1", "f:data", "x")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_managed_fields_are_read_or_passed_over(fields: Any) -> None:
    found = written({"kind": "Secret", "metadata": {"namespace": "shop", "managedFields": fields}})
    assert all(isinstance(value, str) for value in found.values())
