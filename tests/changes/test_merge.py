"""Merge patches: what is told as changed is exactly what differs, and undoes itself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.changes.merge import apply_patch, diff_patch, same, touched

Json = dict[str, Any]
NAMES = st.sampled_from(["a", "b", "spec", "labels", "annotations"])
LEAVES = st.one_of(st.booleans(), st.integers(-2, 2), st.sampled_from(["", "x", "1"]))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(st.one_of(inner, st.none()), max_size=2),
        st.dictionaries(NAMES, inner, max_size=3),
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)
PATCHES = st.recursive(
    st.one_of(LEAVES, st.none(), st.lists(LEAVES, max_size=2)),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)

# RFC 7386, appendix A: those of objects, in which null stands for absent.
EXAMPLES: list[tuple[Json, Json, Json]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("obj", "patch", "result"), EXAMPLES)
def test_a_patch_is_merged_as_the_rfc_says(obj: Json, patch: Json, result: Json) -> None:
    assert apply_patch(obj, patch) == result


@given(OBJECTS, OBJECTS)
def test_the_patch_between_two_objects_makes_one_of_the_other(before: Json, after: Json) -> None:
    assert same(apply_patch(before, diff_patch(before, after)), after)


@given(OBJECTS, OBJECTS)
def test_touched_leads_both_ways(before: Json, after: Json) -> None:
    was, becomes = touched(before, after)
    assert same(apply_patch(before, becomes), after)
    assert same(_known(apply_patch(after, was)), _known(before))


@given(OBJECTS, OBJECTS)
def test_touched_has_exactly_the_fields_that_differ(before: Json, after: Json) -> None:
    was, becomes = touched(before, after)
    for path in _paths(was, becomes):
        assert not same(_at(before, path), _at(after, path)), path
        assert same(_at(was, path), _at(before, path)), path
        assert same(_at(becomes, path), _at(after, path)), path


@given(OBJECTS)
def test_nothing_is_touched_where_nothing_differs(obj: Json) -> None:
    assert touched(obj, obj) == ({}, {})


@given(OBJECTS, st.dictionaries(NAMES, PATCHES, max_size=3))
def test_the_inverse_undoes_any_patch(obj: Json, patch: Json) -> None:
    undone = apply_patch(apply_patch(obj, patch), inverse(obj, patch))
    assert same(_known(undone), _known(obj))


@given(OBJECTS, st.dictionaries(NAMES, PATCHES, max_size=3))
def test_what_is_given_is_left_as_it_is(obj: Json, patch: Json) -> None:
    before, meant = repr(obj), repr(patch)
    apply_patch(obj, patch)
    inverse(obj, patch)
    assert (repr(obj), repr(patch)) == (before, meant)


def test_true_is_not_one_and_a_number_is_not_its_text() -> None:
    assert diff_patch({"a": 1, "b": 1, "c": 0}, {"a": True, "b": "1", "c": False}) == {
        "a": True,
        "b": "1",
        "c": False,
    }


def test_undoing_the_first_annotation_leaves_those_that_came_meanwhile() -> None:
    bare: Json = {"metadata": {"name": "web"}}
    patch = {"metadata": {"annotations": {"ours": "1"}}}
    undo = inverse(bare, patch)
    assert undo == {"metadata": {"annotations": {"ours": None}}}
    later = apply_patch(apply_patch(bare, patch), {"metadata": {"annotations": {"theirs": "2"}}})
    assert apply_patch(later, undo) == {"metadata": {"name": "web", "annotations": {"theirs": "2"}}}


def test_a_whole_new_part_is_taken_away_whole() -> None:
    affinity = {"nodeAffinity": {"required": {"terms": [1]}}}
    assert inverse({"spec": {}}, {"spec": {"affinity": affinity}}) == {"spec": {"affinity": None}}


def inverse(obj: Json, patch: Json) -> Json:
    """Return the patch that undoes `patch` once it was merged into `obj`."""
    return touched(obj, apply_patch(obj, patch))[0]


def _known(obj: Any) -> Any:
    """Without labels and annotations that are empty: the API takes those for absent."""
    if not isinstance(obj, dict):
        return obj
    told = {name: _known(value) for name, value in obj.items()}
    return {k: v for k, v in told.items() if not (k in {"labels", "annotations"} and v == {})}


def _paths(was: Json, becomes: Json, lead: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The fields of which one value goes and another one comes."""
    assert was.keys() == becomes.keys()
    found: list[tuple[str, ...]] = []
    for name, value in becomes.items():
        old = was[name]
        both = isinstance(value, dict) and isinstance(old, dict)
        found += _paths(old, value, (*lead, name)) if both else [(*lead, name)]
    return found


def _at(obj: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj
