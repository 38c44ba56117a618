"""Chains: a mission that follows another one takes over what that one offered. Pure."""

from dataclasses import replace

from engine.missions.registry import params
from engine.model.mission import MissionRow
from engine.model.report import Report


def prefilled(mission: MissionRow, before: Report) -> MissionRow:
    """Return `mission` with the params that the report `before` it offers its kind.

    Its own come first, where they say anything; what the kind does not take is left out.
    """
    offered = next((one.params for one in before.next if one.kind == mission.kind), {})
    model = params().get(mission.kind)
    takes = model.model_fields if model is not None else {}
    own = {name: value for name, value in mission.params.items() if value != ""}
    return replace(mission, params={**{n: v for n, v in offered.items() if n in takes}, **own})
