"""What a rule can name follows from the signals it takes."""

import pytest

from engine.model.schema import data_shape
from engine.model.schema_objects import KINDS, OBJECT
from engine.rules.cel.types import DOUBLE, INT, StructType
from engine.rules.rule import Selector
from engine.rules.streams import has_path, signal_type, stream_of


def data(*selectors: Selector) -> StructType:
    shape = signal_type(stream_of(selectors)).fields["data"]
    assert isinstance(shape, StructType)
    return shape


def test_a_kind_has_the_common_fields_and_its_own() -> None:
    pod = data(Selector("k8s.object", kinds=("Pod",)))
    assert pod.fields["restarts"] == INT
    assert set(pod.fields) == {*OBJECT, *KINDS["Pod"]}
    assert not pod.open


def test_several_kinds_are_a_union() -> None:
    both = data(Selector("k8s.object", kinds=("Pod", "Node")))
    assert {"restarts", "readyStatus"} <= set(both.fields)


def test_several_selectors_are_a_union_too() -> None:
    both = data(Selector("k8s.object", kinds=("Pod",)), Selector("metric"))
    assert both.fields["restarts"] == INT
    assert both.fields["value"] == DOUBLE
    assert both.name == "k8s.object Pod or metric"


def test_a_glob_stands_for_the_kinds_that_it_matches() -> None:
    sets = data(Selector("k8s.object", kinds=("*Set",)))
    assert "desired" in sets.fields
    assert "restarts" not in sets.fields
    assert not sets.open


@pytest.mark.parametrize("kinds", [(), ("*",)])
def test_without_exact_kinds_every_known_kind_counts(kinds: tuple[str, ...]) -> None:
    every = data(Selector("k8s.object", kinds=kinds))
    assert {"restarts", "readyStatus", "bound"} <= set(every.fields)
    assert not every.open


def test_a_kind_that_is_not_known_leaves_the_data_open() -> None:
    assert data(Selector("k8s.object", kinds=("Rollout",))).open
    assert data(Selector("k8s.object", kinds=("Pod", "Roll*"))).open


def test_the_envelope_has_only_what_the_data_has() -> None:
    metric = signal_type(stream_of([Selector("metric")]))
    assert {"value", "labels", "cluster"} <= set(metric.fields)
    assert not {"name", "kind"} & set(metric.fields)


@pytest.mark.parametrize(
    ("type_", "path", "there"),
    [
        ("k8s.object", "cluster", True),
        ("k8s.object", "labels.team", True),
        ("k8s.object", "signal.data.reason", True),
        ("k8s.object", "signal.data.resaon", False),
        ("k8s.object", "signal.data.object.spec.nodeName", True),
        ("k8s.object", "signal.data.phase.x", False),
        ("k8s.object", "signal.namespace", True),
        ("k8s.object", "value", False),
        ("metric", "labels.pod", True),
        ("metric", "namespace", True),
        ("metric", "kind", False),
        ("k8s.event", "signal.data.reason", True),
        ("k8s.event", "labels.team", False),
        ("alert", "signal.data.anything", True),
        ("alert", "namespace", True),
    ],
)
def test_a_group_key_is_there_or_not(type_: str, path: str, there: bool) -> None:
    assert has_path(Selector(type_), path) is there


def test_data_of_types_without_a_table_is_open() -> None:
    assert data_shape("vendor.reading").open
    assert not data_shape("k8s.event").open
