"""Each mistake is pinned: a `.bad.yaml` and the text that is said about it."""

from pathlib import Path

import pytest

from engine.rules.faults import to_text
from engine.rules.load import load

BAD = Path(__file__).parent / "bad"
FILES = sorted(BAD.glob("*.bad.yaml"))
KINDS = {"incident-response": {"symptom", "namespace", "workload", "node", "kind", "name"}}


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
