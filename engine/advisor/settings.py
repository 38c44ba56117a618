"""The settings of the model: whom to ask, and how much it may cost."""

from pydantic import Field, PositiveFloat, PositiveInt

from engine.model.config import Config


class AdvisorConfig(Config):
    """The model that may explain and rank what was found; without a key it is never asked.

    `key_file` holds the API key of `base_url`, where `model` answers with `max_tokens` at most.
    `calls` and `within_s` bound one mission, `tokens_per_day` all of them. After `errors` failures
    in a row nobody is asked for `rest_s` seconds.
    """

    key_file: str | None = None
    model: str = Field(default="claude-sonnet-5-5", min_length=1)
    base_url: str = Field(default="https://api.anthropic.com", pattern=r"^https?://[^\s?#]+$")
    calls: int = Field(default=3, ge=1, le=6)
    within_s: PositiveFloat = Field(default=60.0, le=60.0)
    max_tokens: PositiveInt = 2000
    tokens_per_day: PositiveInt = 1_000_000
    errors: PositiveInt = 5
    rest_s: PositiveFloat = 600.0
