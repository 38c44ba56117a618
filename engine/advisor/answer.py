"""What a model may answer: sentences that cite evidence, an order of causes, one of the options."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Sentence(_Part):
    """One sentence with the ids of the evidence that carries it."""

    text: str = Field(min_length=1, max_length=400)
    evidence: list[str] = Field(min_length=1, max_length=8)


class Answer(_Part):
    """The whole answer; `ranking` holds ids of hypotheses, `choice` the id of an option or ''."""

    sentences: list[Sentence] = Field(max_length=12)
    ranking: list[str] = Field(default=[], max_length=50)
    choice: str = Field(default="", max_length=10)


def answer_schema(
    evidence: Sequence[str], hypotheses: Sequence[str], options: Sequence[str]
) -> dict[str, Any]:
    """Return the JSON schema of an answer to a question with these ids.

    It holds no lengths, which structured output does not know; `Answer` checks them afterwards.
    """
    sentence = _closed(
        {"text": {"type": "string"}, "evidence": _some_of(evidence)}, ("text", "evidence")
    )
    fields = {
        "sentences": {"type": "array", "items": sentence},
        "ranking": _some_of(hypotheses),
        "choice": {"type": "string", "enum": ["", *options]},
    }
    return _closed(fields, tuple(fields))


def _closed(fields: dict[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": fields,
        "required": list(required),
        "additionalProperties": False,
    }


def _some_of(ids: Sequence[str]) -> dict[str, Any]:
    item: dict[str, Any] = {"type": "string"}
    if ids:
        item["enum"] = list(ids)
    return {"type": "array", "items": item}
