"""Large objects are made small enough, and it is said what went."""

from typing import Any

import msgspec

from watchers.trim import MAX_BYTES, trim


def test_a_small_object_stays_as_it_is() -> None:
    obj = {"kind": "Pod", "metadata": {"name": "x"}, "spec": {"a": 1}}
    assert trim(obj) == (obj, ())


def test_the_largest_parts_go_first_and_what_identifies_it_stays() -> None:
    labels = {f"l{n}": "v" * 60 for n in range(100)}
    obj: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n", "labels": labels, "annotations": {"a": "x" * 40_000}},
        "status": {"images": ["y" * 30_000], "phase": "z" * 300},
        "data": "w" * 1000,
    }
    kept, gone = trim(obj)
    assert gone == ("metadata.annotations",)
    assert len(msgspec.json.encode(kept)) <= MAX_BYTES
    assert kept["metadata"]["labels"] == labels
    assert "annotations" in obj["metadata"]


def test_as_much_goes_as_is_needed() -> None:
    parts = {f"part{n}": "x" * 20_000 for n in range(9)}
    kept, gone = trim(
        {"kind": "Big", "metadata": {"name": "n"}, "spec": parts, "top": "y" * 90_000}
    )
    assert gone[0] == "top"
    assert len(gone) == 1 + 6
    assert len(msgspec.json.encode(kept)) <= MAX_BYTES
