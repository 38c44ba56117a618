"""The language of templates: Jinja2, bounded to what shows values."""

from collections.abc import Mapping
from typing import Any, Final

from jinja2 import StrictUndefined, Undefined
from jinja2 import TemplateError as JinjaError
from jinja2.sandbox import ImmutableSandboxedEnvironment

VARIABLES: Final = (
    "m",
    "key",
    "rule",
    "firing",
    "signal",
    "labels",
    "params",
    "at",
    "value",
    "members",
    "member_count",
    "state",
    "reason",
)
FILTERS: Final = (
    "abs",
    "capitalize",
    "count",
    "d",
    "default",
    "first",
    "float",
    "int",
    "join",
    "last",
    "length",
    "lower",
    "max",
    "min",
    "round",
    "sort",
    "string",
    "sum",
    "title",
    "trim",
    "truncate",
    "unique",
    "upper",
)
TESTS: Final = ("defined", "undefined", "none", "string", "number", "mapping", "in")


class Bounded(ImmutableSandboxedEnvironment):
    """Bounded Jinja2: multiplication is for numbers, a mapping's keys win over its methods."""

    intercepted_binops = frozenset({"*"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Multiply numbers; a text or a list times a number could be of any size."""
        if not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise JinjaError("only numbers can be multiplied")
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return the item of a mapping, else what Jinja2 finds."""
        if isinstance(obj, Mapping):
            if attribute in obj:
                return obj[attribute]
            return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)


def _round(value: float, precision: int = 0) -> float:
    """Round as Jinja2's filter does, without its other method, which can take for ever."""
    return round(value, min(precision, 15))


def _shown(value: Any) -> Any:
    if callable(value) and not isinstance(value, Undefined):
        raise JinjaError("a template can not show a function")
    return int(value) if isinstance(value, float) and value.is_integer() else value


# No escaping here: what comes out is plain text, and each channel escapes for itself.
ENVIRONMENT = Bounded(undefined=StrictUndefined, finalize=_shown, autoescape=False)
ENVIRONMENT.globals.clear()
ENVIRONMENT.filters = {name: ENVIRONMENT.filters[name] for name in FILTERS} | {"round": _round}
