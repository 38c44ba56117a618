"""Whatever shape the objects of a cluster have, a template makes exact edits or says why not."""

import contextlib
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.analysis.cluster_view import ClusterView
from engine.changes.look import Look
from engine.changes.plan import outline, propose, replaced
from engine.changes.probes import Seen, judge
from engine.changes.templates import TEMPLATES, Unfit
from tests.changes.worlds import BAD, GOOD, a_draft, a_rollout, a_stateful_set, a_view, answered
from tests.missions.incident.world import NOON, Raw, a_node, a_service, an, an_event

PARAMS: dict[str, Raw] = {
    "rollback": {"revision": 1},
    "scale": {"replicas": 2},
    "restart": {"at": "2026-12-01T04:00:00Z"},
}
LOGS = {("shop", pod, "app", False): "line" for pod in ("web-new", "db-0")}
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 10**12, 1.5, "", "x", "9" * 5000, "\u202e\x00", [], {}, [None], [[]]]),
    st.just({"a": {"b": [1, {"c": None}]}}),
)
PLACES = st.lists(st.integers(0, 30), min_size=1, max_size=9)


def a_world() -> list[Raw]:
    rules = [{"http": {"paths": [{"backend": {"service": {"name": "web"}}}]}}]
    web = a_rollout(GOOD, BAD, ready=1)
    spec = {"selector": {"matchLabels": {"app": "web"}}}
    return [
        a_node("n1"),
        a_node("n2"),
        a_node("n3", unschedulable=True),
        *web,
        *a_stateful_set(GOOD, BAD),
        a_service(),
        an("Ingress", "shop", "networking.k8s.io/v1", spec={"rules": rules}),
        an("PodDisruptionBudget", "b", "policy/v1", spec=spec, status={"disruptionsAllowed": 1}),
        an_event(web[-1], "BackOff", "again"),
    ]


def spoilt(place: list[int], junk: Any) -> list[Raw]:
    """Return the world with one value in it replaced, found by turns through its fields."""
    objects = deepcopy(a_world())
    at: Any = objects
    for step, number in enumerate(place):
        keys = list(range(len(at))) if isinstance(at, list) else sorted(at)
        if not keys:
            break
        key = keys[number % len(keys)]
        last = step == len(place) - 1 or not isinstance(at[key], dict | list)
        if last and step:
            at[key] = junk
            break
        at = at[key]
    return objects


def targets(template: str) -> list[tuple[str, str]]:
    if template in {"cordon", "uncordon", "drain"}:
        return [("Node", "n3" if template == "uncordon" else "n1")]
    if template == "delete-pod":
        return [("Pod", "web-new")]
    return [("Deployment", "web"), ("StatefulSet", "db")]


@pytest.mark.parametrize("template", TEMPLATES)
@given(place=PLACES, junk=JUNK)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_value_anywhere_gives_a_change_or_a_sentence(
    template: str, place: list[int], junk: Any
) -> None:
    view = a_view(*spoilt(place, junk), logs=LOGS)
    for kind, name in targets(template):
        with contextlib.suppress(Unfit):
            _walk(view, kind, name, template)


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_fits_the_world_that_is_spoilt_above(template: str) -> None:
    view = a_view(*a_world(), logs=LOGS)
    for kind, name in targets(template):
        _walk(view, kind, name, template)


def _walk(view: ClusterView, kind: str, name: str, template: str) -> None:
    """From draft to judgement."""
    draft = a_draft(view, kind, name, template, params=PARAMS.get(template, {}))
    plan = outline(draft, view)
    look = Look(view, frozenset({"x-1"}), frozenset(), assessed=True)
    tried = [answered(view, edit) for edit in plan.edits]
    replaced(view, tried)
    change = propose(plan, tried, look, cluster_uid="u", foreseen=look)
    assert change.digest
    live = {one.target.uid: tried[n].answer for n, one in enumerate(change.operations)}
    seen = Seen(look, live, change, tuple(range(len(change.operations))), NOON)
    assert len(judge(seen)) == len(change.probes)
