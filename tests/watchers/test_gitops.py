"""Objects of Argo CD and Flux of any shape: something is said of them, or nothing; none raises."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.desired.applied import LAST_APPLIED, applied
from watchers.gitops import State, argo_states, flux_state, inventory

WORDS = st.sampled_from(
    ["Synced", "OutOfSync", "Unknown", "True", "False", "Ready", "Reconciling", "Progressing",
     "in-cluster", "Missing", "Apply", "kubectl", "v1", "a_b_c_D", "f:a", 'k:{"name":"x"}', "v:1",
     '{"apiVersion":"v1","a":{"b":1}}', "\ud800", ""],
)  # fmt: skip
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)


def shaped(**fields: Any) -> Any:
    """Return mappings with some of `fields`, now and then something else."""
    return ANY | st.fixed_dictionaries({}, optional={n: ANY | one for n, one in fields.items()})


def several(one: Any) -> Any:
    return st.lists(one, max_size=2)


RESOURCE = shaped(
    status=WORDS, health=shaped(status=WORDS), group=WORDS, version=WORDS, kind=WORDS, name=WORDS,
    hook=WORDS, requiresPruning=WORDS,
)  # fmt: skip
STATUS = shaped(
    sync=shaped(status=WORDS, revision=WORDS, revisions=several(WORDS)),
    operationState=shaped(phase=WORDS),
    resources=several(RESOURCE),
    conditions=several(shaped(type=WORDS, status=WORDS, reason=WORDS, message=WORDS)),
    inventory=shaped(entries=several(shaped(id=WORDS, v=WORDS))),
    lastAttemptedRevision=WORDS,
)
MANAGED = shaped(manager=WORDS, operation=WORDS, apiVersion=WORDS, subresource=WORDS, fieldsV1=ANY)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "apiVersion": ANY,
        "kind": ANY,
        "metadata": shaped(
            name=WORDS,
            managedFields=several(MANAGED),
            annotations=st.fixed_dictionaries({LAST_APPLIED: ANY}),
        ),
        "spec": shaped(destination=shaped(server=WORDS, name=WORDS), suspend=ANY, kubeConfig=ANY),
        "status": STATUS,
    },
)


def sound(states: list[State]) -> None:
    for state in states:
        assert isinstance(state["app"], str)
        assert state.get("drifted", False) in (True, False)


@given(OBJECTS)
def test_whatever_an_object_holds_something_is_said_of_it_or_nothing(obj: dict[str, Any]) -> None:
    sound(argo_states(obj) or [])
    state = flux_state(obj)
    sound([state] if state else [])
    assert all(isinstance(one["name"], str) for one in inventory(obj))


@given(OBJECTS)
def test_whatever_stands_in_managed_fields_the_fields_of_it_are_paths(obj: dict[str, Any]) -> None:
    assert all(isinstance(step, str) for path in applied(obj) for step in path)


def test_a_copy_of_what_was_applied_that_is_nested_too_deeply_is_left_out() -> None:
    for depth in (300, 900, 5000):
        copy = '{"apiVersion":"v1","a":' + '{"a":' * depth + "1" + "}" * depth + "}"
        metadata = {"name": "a", "annotations": {LAST_APPLIED: copy}}
        paths = applied({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        assert len(msgspec.json.encode(paths)) < 1 << 20
