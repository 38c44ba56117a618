"""Targets choose clusters by name, group and label; all that is given must hold."""

from typing import Any

import pytest

from engine.changes.policy import Place
from engine.missions.targets import resolve
from engine.model.errors import DogwatchError

PLACES = {
    "us-1": Place({"tier": "front"}, ("prod",)),
    "eu-2": Place({"tier": "back"}, ("prod", "eu")),
    "eu-1": Place({"tier": "front"}, ("eu",)),
    "lab": Place(),
}


@pytest.mark.parametrize(
    ("targets", "chosen"),
    [
        ({"all": True}, ("eu-1", "eu-2", "lab", "us-1")),
        ({"all": True, "exclude": ["lab", "us-*"]}, ("eu-1", "eu-2")),
        ({"clusters": ["eu-*", "lab"]}, ("eu-1", "eu-2", "lab")),
        ({"groups": ["prod", "none"]}, ("eu-2", "us-1")),
        ({"labels": "tier in (front, back)"}, ("eu-1", "eu-2", "us-1")),
        ({"labels": "!tier"}, ("lab",)),
        ({"clusters": ["eu-*"], "labels": "tier=front", "groups": ["eu"]}, ("eu-1",)),
        ({"groups": ["eu"], "exclude": ["eu-1"]}, ("eu-2",)),
    ],
)
def test_targets_choose(targets: dict[str, Any], chosen: tuple[str, ...]) -> None:
    assert resolve(targets, PLACES) == chosen


def test_targets_that_choose_nothing_are_told_with_the_clusters_there_are() -> None:
    wanted = "targets groups: x; labels: tier=front choose no cluster; known: eu-1, eu-2, lab, us-1"
    with pytest.raises(DogwatchError, match=wanted):
        resolve({"groups": ["x"], "labels": "tier=front"}, PLACES)
    with pytest.raises(DogwatchError, match="known: none"):
        resolve({"all": True}, {})
