"""The policy file: what it may hold, with its defaults."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SkipValidation,
    WithJsonSchema,
    model_validator,
)

from engine.model.change import Risk
from engine.model.config import Config
from engine.model.instant import parse_duration
from engine.rules.json_schema import json_schema
from engine.rules.rule import Interval

PROTECTED: Final = ("kube-system", "kube-public", "kube-node-lease", "dogwatch")
"""Namespaces in which nothing is changed unless the policy opens them."""
PEOPLE: Final[Mapping[Risk, int]] = {
    Risk.SAFE: 1,
    Risk.DISRUPTIVE: 1,
    Risk.DESTRUCTIVE: 2,
    Risk.LOCKOUT: 2,
}
"""How many distinct people must approve at least."""
_LONGEST: Final = timedelta(days=3650)
_SPAN: Final = re.compile(r"([0-9]+(ms|s|m|h|d|w))+")
_SPAN_CHARS: Final = 32


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _named(value: Any) -> Any:
    return {"names": value} if isinstance(value, str | list) else value


def _span(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or len(value) > _SPAN_CHARS or not _SPAN.fullmatch(value):
        raise ValueError("expected a duration such as 90s, 15m or 4h")
    span = parse_duration(value)
    if not 0 < span <= _LONGEST // timedelta(microseconds=1):
        raise ValueError("expected a duration from 1ms to 3650d")
    return timedelta(microseconds=span)


def _shaped(pattern: str, hint: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"expected {hint}")
        return text

    return check


Name = Annotated[
    str,
    AfterValidator(
        _shaped(
            r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?",
            "up to 63 lower-case letters, digits, dots, dashes and underscores",
        )
    ),
]
Email = Annotated[
    str,
    AfterValidator(
        _shaped(r"[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,189}", "an address such as ada@example.com")
    ),
]
Hash = Annotated[
    str,
    AfterValidator(
        _shaped(r"[0-9a-f]{64}", '64 lower-case hex digits: printf %s "$TOKEN" | sha256sum')
    ),
]
Glob = Annotated[str, Field(min_length=1, max_length=253)]
Globs = Annotated[tuple[Glob, ...], BeforeValidator(_listed), Field(min_length=1)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_listed), Field(min_length=1)]
Risks = Annotated[tuple[Risk, ...], BeforeValidator(_listed), Field(min_length=1)]
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1, le=1000)]
Span = Annotated[
    timedelta,
    BeforeValidator(_span),
    WithJsonSchema({"type": "string", "pattern": f"^{_SPAN.pattern}$"}),
]
Intervals = Annotated[
    Mapping[str, Interval],
    SkipValidation,
    WithJsonSchema(json_schema()["else"]["properties"]["spec"]["properties"]["intervals"]),
]
ANY: Final = ("*",)
ALL: Final = tuple(Risk)
HOUR: Final = timedelta(hours=1)


class Clusters(Config):
    """Clusters of the configuration; all that is given must hold.

    `names` are names or globs, `groups` groups of which the cluster is in at least one, `labels`
    must all match (values are globs), `exclude` are left out. A list alone stands for `names`.
    """

    names: Globs = ANY
    groups: tuple[Glob, ...] = ()
    labels: dict[str, Glob] = Field(default_factory=dict)
    exclude: tuple[Glob, ...] = ()


Where = Annotated[Clusters, BeforeValidator(_named)]


class SlackId(Config):
    """A member of a Slack workspace, by ids: names there can be changed by anybody."""

    team: Annotated[str, AfterValidator(_shaped("[TE][A-Z0-9]{2,30}", "a team id such as T0123AB"))]
    user: Annotated[str, AfterValidator(_shaped("[UW][A-Z0-9]{2,30}", "a user id such as U0123AB"))]


class UserConfig(Config):
    """One person, with at least one way to be recognised.

    `email` gets links by mail, and is looked for in OIDC tokens; `subject` is the `sub` of OIDC;
    `token_sha256` is the sha256 of a long random token, in hex: the token itself stays with the
    person.
    """

    email: Email | None = None
    slack: SlackId | None = None
    token_sha256: Hash | None = None
    subject: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class ApproverConfig(Config):
    """Who approves changes of these risks in these places; the first entry that covers one counts.

    `people` of `groups` must approve, as many as the risk asks for where it is not given: never
    fewer. What lies in no namespace, such as a node, is covered by `*` only.
    """

    clusters: Where = Clusters()
    namespaces: Globs = ANY
    risks: Risks = ALL
    groups: Names
    people: Count | None = None


class AutomaticConfig(Config):
    """What is approved without a person: all that is given must hold.

    `rules`, `clusters`, `namespaces`, `templates` are names or globs; `risk` is the highest one;
    `within` names intervals, at all times where it is not given. A rule has to ask for it by
    `approval: policy`.
    """

    rules: Globs
    clusters: Where = Clusters()
    namespaces: Globs = ANY
    templates: Globs
    risk: Risk = Risk.SAFE
    within: tuple[Name, ...] = ()


class WindowConfig(Config):
    """Changes that it covers begin only within one of the intervals `during`."""

    clusters: Where = Clusters()
    namespaces: Globs = ANY
    risks: Risks = ALL
    during: Names


class FreezeConfig(Config):
    """No change that it covers begins within one of the intervals `during`."""

    clusters: Where = Clusters()
    namespaces: Globs = ANY
    risks: Risks = ALL
    during: Names
    reason: Annotated[str, Field(max_length=500)] = ""


class ProtectedConfig(Config):
    """What is never changed.

    `namespaces` come beside kube-system, kube-public, kube-node-lease and dogwatch; `opened`
    takes one of these out. An object is protected by any of `labels` (values are globs).
    """

    namespaces: tuple[Glob, ...] = ()
    opened: tuple[Name, ...] = ()
    labels: dict[str, Glob] = Field(default_factory=lambda: {"dogwatch.dev/protected": "true"})


class BudgetConfig(Config):
    """How much is changed at once, and in an hour.

    `automatic_objects` and `approved_objects` are objects of one change, for `templates` their
    own number; `replicas_percent` is how many replicas of a workload are taken away in one wave,
    at least one; `changes_per_hour` are of one cluster; what was approved automatically is done
    to the same object again after `again` at the earliest.
    """

    automatic_objects: Count = 1
    approved_objects: Count = 10
    templates: dict[str, Count] = Field(default_factory=dict)
    changes_per_hour: Count = 10
    replicas_percent: Annotated[int, Field(strict=True, ge=1, le=100)] = 10
    again: Span = HOUR


class BreakerConfig(Config):
    """When to stop trying.

    After `failures` failed verifications for the same rule and object nothing is done for
    `open`, twice as long after each further one, `open_most` at most. `roll_backs_per_hour`
    anywhere freeze everything until a person thaws it.
    """

    failures: Annotated[int, Field(strict=True, ge=1, le=100)] = 2
    open: Span = HOUR
    open_most: Span = timedelta(hours=24)
    roll_backs_per_hour: Count = 3


class VerificationConfig(Config):
    """How long a change is watched before it counts: by template, else by risk, else `window`."""

    window: Span = timedelta(minutes=10)
    risks: dict[Risk, Span] = Field(default_factory=dict)
    templates: dict[str, Span] = Field(default_factory=dict)


Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
"""Only with a pair of keys: what the issuer publishes must not be able to sign."""


class OidcConfig(Config):
    """Whose signed tokens say who somebody is.

    A token has to be of `issuer`, for `audience`, signed by one of `algorithms` with a key that is
    read from `jwks_url`: https, or http of this machine with `loopback`. Its `sub` is looked for
    among the users' `subject`; its `email` among theirs where it is verified, or
    `unverified_email` says that the issuer lets nobody choose one.
    """

    issuer: Annotated[str, Field(min_length=1, max_length=500)]
    audience: Annotated[str, Field(min_length=1, max_length=500)]
    jwks_url: Annotated[str, Field(max_length=2000)]
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256")
    unverified_email: Flag = False
    loopback: Flag = False

    @model_validator(mode="after")
    def _kept_secret(self) -> Self:
        url = urlsplit(self.jwks_url)
        near = self.loopback and url.hostname in {"127.0.0.1", "::1", "localhost"}
        if not url.hostname or not (url.scheme == "https" or (near and url.scheme == "http")):
            raise ValueError("jwks_url has to begin with https:// and name a host")
        if url.username is not None or url.password is not None:
            raise ValueError("jwks_url holds no password")
        return self


Fraction = Annotated[float, Field(gt=0, lt=1)]
EXPIRY: Final = MappingProxyType({Risk.LOCKOUT: timedelta(minutes=15)})


class PolicyConfig(Config):
    """Who may change what, what needs nobody, and the brakes."""

    users: dict[Name, UserConfig] = Field(default_factory=dict)
    groups: dict[Name, Names] = Field(default_factory=dict)
    approvers: tuple[ApproverConfig, ...] = ()
    automatic: dict[Name, AutomaticConfig] = Field(default_factory=dict)
    intervals: Intervals = Field(default_factory=dict)
    windows: tuple[WindowConfig, ...] = ()
    freezes: tuple[FreezeConfig, ...] = ()
    protected: ProtectedConfig = ProtectedConfig()
    budgets: BudgetConfig = BudgetConfig()
    breaker: BreakerConfig = BreakerConfig()
    expiry: dict[Risk, Span] = Field(default_factory=dict)
    verification: VerificationConfig = VerificationConfig()
    reminders: tuple[Fraction, ...] = (0.5, 0.9)
    oidc: OidcConfig | None = None
