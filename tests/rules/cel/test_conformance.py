"""Cases written from the language definition: by area, each also proven by the reference."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest

from engine.rules.cel import CelError, EvaluationError, compile  # noqa: A004 (its name)
from tests.rules.cel import conformance
from tests.rules.cel.conformance.case import REFUSED, VARIABLES, Case, Fails
from tests.rules.cel.differences import KNOWN
from tests.rules.cel.reference import Comparison, shape

AREAS = sorted(found.name for found in iter_modules(conformance.__path__) if found.name != "case")


def cases(area: str) -> tuple[Case, ...]:
    return tuple(import_module(f"tests.rules.cel.conformance.{area}").CASES)


ALL = [(area, source, wanted) for area in AREAS for source, wanted in cases(area)]
IDS = [f"{area}: {source:.60}" for area, source, _ in ALL]


@pytest.mark.parametrize(("area", "source", "wanted"), ALL, ids=IDS)
def test_an_expression_has_the_value_that_the_definition_gives_it(
    area: str, source: str, wanted: Any
) -> None:
    if not isinstance(wanted, Fails):
        assert shape(compile(source).evaluate(VARIABLES)) == shape(wanted)
        return
    with pytest.raises((CelError, EvaluationError)) as caught:
        compile(source).evaluate(VARIABLES)
    code = caught.value.code if isinstance(caught.value, EvaluationError) else REFUSED.code
    assert code == wanted.code


@pytest.mark.parametrize(("area", "source", "wanted"), ALL, ids=IDS)
def test_the_reference_gives_it_too(area: str, source: str, wanted: Any) -> None:
    comparison = Comparison(source)
    found = comparison.theirs(VARIABLES)
    if not isinstance(wanted, Fails):
        known = any(each.explains(source, shape(wanted), found) for each in KNOWN)
        assert found == shape(wanted) or known
        return
    assert comparison.fails(VARIABLES, wanted)


def test_every_area_of_the_definition_has_cases() -> None:
    assert len(ALL) > 600
    assert min(len(cases(area)) for area in AREAS) >= 40
