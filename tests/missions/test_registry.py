"""The registry of mission kinds: names are unique, kinds describe themselves."""

from datetime import datetime
from typing import Any

import pytest

from engine.missions.registry import kinds, mission, params
from engine.model.config import Config
from engine.model.mission_kinds import MISSION_KINDS
from engine.model.report import Report
from engine.model.snapshot import Snapshot


class NoParams(Config):
    """Nothing to ask."""


def test_every_kind_says_in_a_sentence_what_it_does() -> None:
    known = kinds()
    assert list(known) == sorted(known)
    assert all(kind.name == name and kind.summary.endswith(".") for name, kind in known.items())


def test_the_parameters_are_those_of_the_kinds() -> None:
    assert params() == {name: kind.params for name, kind in kinds().items()}


def test_the_known_kinds_cannot_be_changed_from_outside() -> None:
    known: Any = kinds()
    with pytest.raises(TypeError):
        known["other"] = None


def test_a_name_that_is_taken_is_refused() -> None:
    def again(snapshot: Snapshot, params: Any, now: datetime) -> Report:
        """Do it again."""
        raise NotImplementedError

    kinds()
    with pytest.raises(ValueError, match="incident-response"):
        mission("incident-response", type="analyze", params=NoParams, needs=())(again)


def test_a_kind_without_a_docstring_is_refused() -> None:
    def silent(snapshot: Snapshot, params: Any, now: datetime) -> Report:
        raise NotImplementedError

    with pytest.raises(ValueError, match="no docstring"):
        mission("silent", type="analyze", params=NoParams, needs=())(silent)
    assert "silent" not in kinds()


def test_a_kind_is_what_the_language_says_of_it() -> None:
    assert len(MISSION_KINDS) == 18
    assert list(MISSION_KINDS) == sorted(MISSION_KINDS)
    for name, kind in kinds().items():
        entry = MISSION_KINDS[name]
        assert (entry.type, set(entry.params)) == (kind.type, set(kind.params.model_fields))
