"""The two sentences at the head of a report, made from the findings without a model."""

from collections.abc import Sequence

from engine.missions.kinds.incident_response.diagnosis import Diagnosed
from engine.missions.kinds.incident_response.params import IncidentParams
from engine.model.report import Coverage, Finding, Incident


def summarise(
    incidents: Sequence[Diagnosed],
    minor: Sequence[Finding],
    coverage: Coverage,
    params: IncidentParams,
) -> str:
    """Return two sentences: the first incident, or that there is none; then what else is known."""
    if incidents:
        first = _first(incidents[0].incident)
    elif minor:
        first = f"There is no incident; {_count(len(minor), 'minor finding')} to look at."
    elif coverage.answered:
        first = "No incident was found."
    else:
        first = "Nothing could be assessed."
    if params.is_focused and not _on_focus(incidents, params):
        first = f"Nothing was found where you pointed ({_focus(params)}); {_lower(first)}"
    return f"{first} {_rest(incidents, coverage)}"


def _first(incident: Incident) -> str:
    best = incident.hypotheses[0]
    sure = "likely" if best.verdict == "likely" else "possibly"
    return f"{incident.title} ({sure}); {incident.impact}."


def _rest(incidents: Sequence[Diagnosed], coverage: Coverage) -> str:
    others = len(incidents) - 1
    more = f"{_count(others, 'further incident')}; " if others > 0 else ""
    unknown = len(coverage.unknowns)
    unsure = f", {_count(unknown, 'thing')} unknown" if unknown else ""
    told = f"{coverage.answered} of {coverage.possible} checks gave an answer{unsure}."
    return more + told if more else told[0].upper() + told[1:]


def _on_focus(incidents: Sequence[Diagnosed], params: IncidentParams) -> bool:
    return bool(incidents) and any(map(params.fits, incidents[0].places))


def _focus(params: IncidentParams) -> str:
    given = params.model_dump(exclude_defaults=True, exclude={"symptom"})
    return ", ".join(f"{name} {value}" for name, value in given.items())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _lower(sentence: str) -> str:
    """Make the first letter small where the word is an ordinary one."""
    return sentence[0].lower() + sentence[1:] if sentence.startswith(("No", "There")) else sentence
