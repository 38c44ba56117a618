"""The signal schema is sound, and its page is that of today."""

import pytest

from engine.model.schema import SIGNALS
from engine.model.schema_metrics import METRICS
from engine.model.signal import ENVELOPE, FOLD_ONLY, LEVEL_TYPES, SIGNAL_TYPES
from tests.signals import PAGE, page

WORDS = {"string", "int", "double", "bool", "dyn", "list(string)", "map(string)"}
FIELDS = [
    (f"{name}.{kind}.{field}", entry)
    for name, shape in SIGNALS.items()
    for kind, fields in {"": shape.fields, **shape.kinds}.items()
    for field, entry in fields.items()
]


def test_the_page_of_signals_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.signals"


def test_every_signal_type_is_declared() -> None:
    assert set(SIGNALS) == {*SIGNAL_TYPES, *FOLD_ONLY}


@pytest.mark.parametrize("name", sorted(LEVEL_TYPES))
def test_a_level_has_an_identity(name: str) -> None:
    assert SIGNALS[name].identity


@pytest.mark.parametrize("name", sorted({*SIGNALS} - LEVEL_TYPES))
def test_an_occurrence_has_none(name: str) -> None:
    assert not SIGNALS[name].identity


def test_every_field_has_a_type_word_and_a_meaning() -> None:
    assert [name for name, field in FIELDS if field.type not in WORDS or not field.text] == []


def test_what_the_envelope_takes_from_the_data_has_one_type_everywhere() -> None:
    found = {(name.rpartition(".")[2], field.type) for name, field in FIELDS}
    types = {name: {type_ for field, type_ in found if field == name} for name in ENVELOPE}
    assert {name: types[name] - {"dyn"} for name in ENVELOPE} == {
        **{name: {"string"} for name in ("namespace", "kind", "name", "workload", "node")},
        "labels": {"map(string)"},
        "value": {"double"},
    }


def test_counters_are_told_by_their_names() -> None:
    assert {name for name, entry in METRICS.items() if entry.counter} == {
        name for name in METRICS if name.endswith("_total")
    }
