"""Templates of mission parameters and annotations: a small, safe part of Jinja2.

A template shows values: attributes, conditions, one level of loops, arithmetic and a list of
filters. It can not call, assign, import, or grow without bound.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from jinja2 import Template
from jinja2 import TemplateError as JinjaError

from engine.model.errors import DogwatchError
from engine.rules.template_check import template_faults
from engine.rules.template_language import ENVIRONMENT

MAX_OUTPUT: Final = 16 * 1024


class TemplateError(DogwatchError):
    """A template could not be rendered; the message says why."""


def render(text: str, variables: Mapping[str, Any]) -> str:
    """Return the template `text` filled with `variables`, cut after 16 KiB.

    Raises:
        TemplateError: the template is not sound, or a variable of it is missing.
    """
    if faults := template_faults(text, variables):
        raise TemplateError(f"template: {faults[0].message}")
    size, parts = 0, []
    try:
        for part in _compiled(text).generate(dict(variables)):
            parts.append(part)
            size += len(part)
            if size > MAX_OUTPUT:
                break
    except (JinjaError, ArithmeticError, TypeError, ValueError, LookupError) as error:
        raise TemplateError(f"template: {error}") from error
    return "".join(parts)[:MAX_OUTPUT]


@lru_cache(maxsize=4096)
def _compiled(text: str) -> Template:
    return ENVIRONMENT.from_string(text)
