"""The signals of tests: a field that no such signal has makes a test prove nothing."""

from engine.model.schema import SIGNALS, data_shape
from engine.rules.draft import entries, items
from engine.rules.shaping import Notes
from engine.rules.wording import unknown
from engine.rules.yaml import Node


def check_test(test: Node, notes: Notes) -> None:
    """Warn of fields in the data of a test's signals that the schema of their type lacks."""
    for signal in items(entries(test).get("signals")):
        fields = entries(signal)
        data = fields.get("data")
        if data is None or "type" not in fields:
            continue
        type_, kind = str(fields["type"].value), entries(data).get("kind")
        listed = SIGNALS[type_].kinds
        if listed and kind is not None and kind.value not in tuple(listed):
            continue
        kinds = (str(kind.value),) if kind is not None and listed else ()
        shape = data_shape(type_, kinds)
        if shape.open:
            continue
        for name in entries(data).keys() - shape.fields.keys():
            what = " ".join((type_, *kinds))
            message = unknown("field", name, shape.fields, of=what)
            notes.warn(data.keys.get(name, data), f"test: {message}", "test-data")
