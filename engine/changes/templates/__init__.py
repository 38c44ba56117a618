"""Templates: the only kinds of change there are, by name."""

from collections.abc import Mapping
from typing import Final

from engine.changes.templates.drain import DRAIN
from engine.changes.templates.nodes import CORDON, UNCORDON
from engine.changes.templates.pods import DELETE_POD
from engine.changes.templates.rollback import ROLLBACK
from engine.changes.templates.rolling import RESTART
from engine.changes.templates.scaling import SCALE
from engine.changes.templates.template import CHANGE, Edit, Template, Unfit

__all__ = ["CHANGE", "TEMPLATES", "Edit", "Template", "Unfit"]

TEMPLATES: Final[Mapping[str, Template]] = {
    one.name: one for one in (ROLLBACK, SCALE, RESTART, DELETE_POD, CORDON, UNCORDON, DRAIN)
}
