"""Each mistake is pinned: a `.bad.yaml` and the text that is said about it."""

from pathlib import Path

import pytest

from engine.rules.faults import to_text
from engine.rules.load import load
from engine.rules.parameters import KindShape

BAD = Path(__file__).parent / "bad"
FILES = sorted(BAD.glob("*.bad.yaml"))
TEXT = {"type": "string"}
INCIDENT = KindShape(
    dict.fromkeys(("symptom", "namespace", "workload", "node", "kind", "name"), TEXT)
)
PLAN = KindShape(
    {
        "days": {"type": "integer", "minimum": 1, "maximum": 90},
        "ratio": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}]},
        "level": {"enum": ["low", "high"]},
        "nodes": {"type": "array"},
        "deep": {"type": "boolean"},
        "limits": {"type": "object"},
    },
    required=frozenset({"days"}),
)
LATER = KindShape({"node": {}}, later=True)
KINDS = {"incident-response": INCIDENT, "plan": PLAN, "gpu-optimize": LATER}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(".bad.yaml"))
def test_a_mistake_is_told_as_pinned(path: Path) -> None:
    loaded = load({path.name: path.read_bytes()}, known_kinds=KINDS, known_sinks={"oncall"})
    pinned = path.with_name(path.name.replace(".bad.yaml", ".txt"))
    assert to_text(loaded.faults) + "\n" == pinned.read_text(encoding="utf-8")
    assert loaded.faults


def test_every_pinned_text_has_its_file() -> None:
    pinned = {path.stem for path in BAD.glob("*.txt")}
    assert pinned == {path.name.removesuffix(".bad.yaml") for path in FILES}
    assert len(FILES) > 40
