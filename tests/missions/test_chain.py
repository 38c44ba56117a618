"""A mission of a chain knows what the one before it offered."""

from typing import Any

from engine.missions.chain import prefilled
from engine.model.mission import MissionRow
from engine.model.report import NextMission
from tests.missions.test_propose import NOON, a_report


def after(own: dict[str, Any], *offered: NextMission) -> dict[str, Any]:
    before = a_report().model_copy(update={"next": list(offered)})
    row = MissionRow("m-2", "incident-response", own, NOON)
    return dict(prefilled(row, before).params)


def an_offer(kind: str = "incident-response", **params: Any) -> NextMission:
    return NextMission(kind=kind, reason="r", params=params)


def test_what_was_offered_fills_what_the_rule_leaves_open() -> None:
    own = {"symptom": "as the rule says", "cluster": ""}
    offer = an_offer(symptom="as offered", cluster="eu", namespace="shop")
    wanted = {"symptom": "as the rule says", "cluster": "eu", "namespace": "shop"}
    assert after(own, an_offer("post-mortem", cluster="us"), offer) == wanted


def test_what_the_kind_does_not_take_is_left_out() -> None:
    assert after({}, an_offer(incidents=["i-1"], namespace="shop")) == {"namespace": "shop"}


def test_without_an_offer_a_mission_is_as_its_rule_says() -> None:
    assert after({"symptom": "x"}, an_offer("post-mortem", namespace="shop")) == {"symptom": "x"}
