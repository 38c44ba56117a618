"""Program: what the rest of dogwatch relies on beside the value."""

import contextlib
import copy
import gc
import pickle
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.cel import (
    INT,
    CelError,
    EvaluationError,
    Guard,
    Program,
    StructType,
    compile,  # noqa: A004 (its name)
)

if TYPE_CHECKING:
    from collections.abc import Mapping

BINDINGS = {"signal": {"namespace": "x", "data": {"restarts": 7, "ready": False, "n": 1}}}


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("a.b == 'x'", [(("a", "b"), {"x"})]),
        ("'x' == a['b']", [(("a", "b"), {"x"})]),
        ("a in ['x', 'y']", [(("a",), {"x", "y"})]),
        ("a.ready && !b.ready", [(("a", "ready"), {True}), (("b", "ready"), {False})]),
        ("a == 1 && (b == 2 && c > 3) && d == null", [("a", {1}), ("b", {2}), ("d", {None})]),
        ("a == 'x' || a == 'y' || a in ['z']", [(("a",), {"x", "y", "z"})]),
        ("a == 'x' || b == 'y'", []),
        ("a.startsWith('x') && b > 0", [("a", {"x"})]),
        ("a.startsWith('x') || a.startsWith('y')", [("a", {"x", "y"})]),
        ("a.startsWith('x') || a == 'y'", []),
        ("a.startsWith('')", []),
        ("a == 'x' || a > 1", []),
        ("a != 'x'", []),
        ("a == b", []),
        ("a == 1.5", []),
        ("!(a == 'x')", []),
        ("a == 'x' ? b : c", []),
        ("[b].all(a, a == 'x')", []),
        ("has(a.b)", []),
        ("a[0] == 'x'", []),
        ("a in ['x', b]", []),
    ],
)
def test_guards_are_the_conjuncts_that_compare_a_path(source: str, wanted: Any) -> None:
    assert [(guard.path, set(guard.values)) for guard in compile(source).guards] == [
        ((path,) if isinstance(path, str) else path, values) for path, values in wanted
    ]


SCALARS: st.SearchStrategy[Any] = st.sampled_from(
    ["x", "y", 1, 1.0, 0, True, False, None, [], ["x"], {}]
)
GUARDED = st.sampled_from(
    [
        "a.startsWith('x')",
        "a == 'x'",
        "a.b in ['x', 'y']",
        "a",
        "!a.b",
        "a == 1",
        "a.b == true",
        "b == null",
        "b > 0",
    ]
)


@given(
    st.lists(GUARDED, min_size=1, max_size=4),
    st.sampled_from([" && ", " || "]),
    st.dictionaries(st.sampled_from("ab"), SCALARS | st.fixed_dictionaries({"b": SCALARS})),
)
def test_an_expression_whose_guard_does_not_hold_is_not_true(
    parts: list[str], sign: str, bindings: dict[str, Any]
) -> None:
    program = compile(sign.join(parts))
    try:
        true = program.evaluate(bindings) is True
    except EvaluationError:
        true = False
    assert not true or all(guard.holds(bindings) for guard in program.guards)


def test_paths_are_what_the_expression_reads() -> None:
    program = compile(
        "signal.data.restarts > params.limit && has(signal.labels.app)"
        " && signal.data.waiting[0].exists(w, w.x == old['y'].z) && now > timestamp(0)"
    )
    assert program.paths == {
        ("signal", "data", "restarts"),
        ("params", "limit"),
        ("signal", "labels", "app"),
        ("signal", "data", "waiting"),
        ("old", "y", "z"),
        ("now",),
    }


def test_a_program_is_known_by_its_source_and_schema() -> None:
    schema = {"a": StructType("a", {"b": INT})}
    assert compile("a.b") == compile("a.b")
    assert hash(compile("a.b")) == hash(compile("a.b", schema=schema))
    assert compile("a.b") != compile("a.b", schema=schema)
    assert compile("a.b") != "a.b"


def test_a_program_survives_copies_and_pickles() -> None:
    program = compile("a.b + 1", schema={"a": StructType("a", {"b": INT})})
    for other in (copy.copy(program), copy.deepcopy(program), pickle.loads(pickle.dumps(program))):
        assert other == program
        assert other.evaluate({"a": {"b": 1}}) == 2
    assert isinstance(program, Program)


def test_errors_survive_a_pickle() -> None:
    error = pickle.loads(pickle.dumps(EvaluationError("missing", "a is missing", 1, 2)))
    assert (error.code, error.missing, str(error)) == ("missing", True, "1:2 a is missing")
    refused = pickle.loads(pickle.dumps(CelError(3, 4, "no")))
    assert (refused.line, refused.column, str(refused)) == (3, 4, "3:4 no")


@pytest.mark.parametrize(
    ("source", "place", "message"),
    [
        ("signal.data.restrats > 5", (1, 13), "signal.data.restrats is missing"),
        ("true &&\n signal.nope.x == 1", (2, 9), "signal.nope is missing"),
        ("nope", (1, 1), "nope is missing"),
        ("signal.data['x y'].z", (1, 12), "signal.data['x y'] is missing"),
        ("1 + signal.data.n / 0", (1, 19), "division by zero"),
        ("[0, 1].map(x, 1 / x)", (1, 17), "division by zero"),
        ("(f||(t&&" * 12 + "x.y" + "))" * 12, (1, 97), "x is missing"),
    ],
)
def test_a_failure_says_where_and_what(source: str, place: tuple[int, int], message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        compile(source).evaluate({**BINDINGS, "t": True, "f": False})
    assert (caught.value.line, caught.value.column) == place
    assert caught.value.message == message


def test_only_what_is_absent_counts_as_missing() -> None:
    for source, missing in (("signal.nope", True), ("signal[0]", True), ("1 / 0", False)):
        with pytest.raises(EvaluationError) as caught:
            compile(source).evaluate(BINDINGS)
        assert caught.value.missing is missing


def test_bindings_may_be_any_mapping_and_stay_as_they_are() -> None:
    frozen: Mapping[str, Any] = MappingProxyType({"s": MappingProxyType({"a": (1, 2)})})
    program = compile("has(s.a) && size(s.a) == 2 && s == {'a': [1, 2]} && 1 in s.a")
    assert program.evaluate(frozen) is True


def test_failures_leave_nothing_for_the_collector_of_cycles() -> None:
    program = compile("a.b == 1 && c.d.exists(x, x.y) || e")

    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(EvaluationError):
            program.evaluate({"a": {}, "c": {"d": [{}]}})
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_guard_holds_for_its_values_only() -> None:
    guard = Guard(("a", "b"), frozenset({"x"}))
    assert guard.holds({"a": {"b": "x"}})
    assert not guard.holds({"a": {"b": ["x"]}})
    assert not guard.holds({"a": "x"})
    assert not guard.holds({})
