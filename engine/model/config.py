"""The base of every config block: unknown fields are refused, values are frozen."""

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A config block; units stand in the names (`every_s`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
