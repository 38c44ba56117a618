"""How a Prometheus, or what speaks its API, is reached."""

from typing import Self

import httpx
from pydantic import Field, PositiveFloat, field_validator, model_validator

from engine.model.config import Config


class PrometheusConfig(Config):
    """A Prometheus, Thanos, Mimir or VictoriaMetrics, below whose `url` /api/v1/query answers.

    Authentication is by `token_file` (bearer), or `username` with `password_file`; `tenant` is sent
    as X-Scope-OrgID. `match` are labels that every series must have, where one server holds the
    series of many clusters, such as {cluster: prod-eu}.
    """

    url: str = Field(pattern=r"^https?://[^/\s]+(/[^\s?#]*)?$")
    token_file: str | None = None
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    tenant: str | None = None
    match: dict[str, str] = Field(default_factory=dict)
    timeout_s: PositiveFloat = 10.0

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        try:
            httpx.URL(url.replace("{name}", "name"))  # with the name of a cluster, where found
        except httpx.InvalidURL as error:
            raise ValueError(f"no address of a server: {error}") from error
        return url

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.token_file and self.username:
            raise ValueError("token_file excludes username")
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file go together")
        return self
