"""Objects of Argo CD and Flux of any shape: something is said of them, or nothing; none raises."""

import copy
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.desired.applied import LAST_APPLIED, applied
from watchers.gitops import argo_states, flux_state, inventory

RESOURCE = {
    "status": "OutOfSync", "health": {"status": "Healthy"}, "group": "apps", "version": "v1",
    "kind": "Deployment", "namespace": "shop", "name": "web", "hook": False,
    "requiresPruning": False,
}  # fmt: skip
WHOLE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Application",
    "metadata": {
        "name": "shop",
        "managedFields": [
            {
                "manager": "kubectl", "operation": "Apply", "apiVersion": "v1", "subresource": "",
                "fieldsV1": {"f:a": {'k:{"name":"x"}': {"f:b": {}}, "v:1": {}}},
            }
        ],
        "annotations": {LAST_APPLIED: '{"apiVersion":"v1","a":{"b":1}}'},
    },
    "spec": {"destination": {"server": "x", "name": "in-cluster"}, "suspend": False},
    "status": {
        "sync": {"status": "OutOfSync", "revision": "abc", "revisions": ["abc"]},
        "operationState": {"phase": "Running"},
        "resources": [RESOURCE, {**RESOURCE, "status": "Unknown"}],
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "Progressing", "message": "m"},
            {"type": "Reconciling", "status": "True"},
        ],
        "inventory": {"entries": [{"id": "shop_web_apps_Deployment", "v": "v1"}]},
        "lastAttemptedRevision": "abc",
    },
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of everything in an object."""
    inner = value.items() if isinstance(value, dict) else ()
    for step, one in enumerate(value) if isinstance(value, list) else inner:
        yield (*path, step)
        yield from places(one, (*path, step))


PLACES = sorted(places(WHOLE), key=str)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)


def put(obj: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    """Put `value` into a place of the object, where there is such a place yet."""
    inner: Any = obj
    for step in path[:-1]:
        deeper = isinstance(inner, dict) and step in inner
        deeper |= isinstance(inner, list) and isinstance(step, int) and step < len(inner)
        inner = inner[step] if deeper else {}
    if isinstance(inner, dict):
        inner[path[-1]] = value


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    """Return an object in which something else stands in some places."""
    obj = copy.deepcopy(WHOLE)
    for path in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        put(obj, path, draw(ODD))
    return obj


def sound(obj: dict[str, Any]) -> None:
    state = flux_state(obj)
    for one in [*(argo_states(obj) or []), *([state] if state else []), *inventory(obj)]:
        assert isinstance(one["app"], str)
        assert one.get("drifted", False) in (True, False)
    assert all(isinstance(step, str) for path in applied(obj) for step in path)


@given(objects())
def test_whatever_an_object_holds_something_is_said_of_it_or_nothing(obj: dict[str, Any]) -> None:
    sound(obj)


@pytest.mark.parametrize("value", [None, True, 3, "x", [], [[]], {"a": []}], ids=str)
def test_no_place_of_an_object_is_taken_for_what_it_should_hold(value: Any) -> None:
    for path in PLACES:
        obj = copy.deepcopy(WHOLE)
        put(obj, path, value)
        sound(obj)


def test_a_copy_of_what_was_applied_that_is_nested_too_deeply_is_left_out() -> None:
    for depth in (300, 900, 5000):
        text = '{"apiVersion":"v1","a":' + '{"a":' * depth + "1" + "}" * depth + "}"
        metadata = {"name": "a", "annotations": {LAST_APPLIED: text}}
        paths = applied({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        assert len(msgspec.json.encode(paths)) < 1 << 22
