"""Images: the parts of a reference, and what a failed pull's message means."""

import re
from dataclasses import dataclass
from typing import Final

_LONGEST = 2000
DEFAULT_REGISTRY = "docker.io"


def registry_of(image: str) -> str:
    """Return the registry host of an image reference; docker.io where it names none."""
    first, slash, _ = image.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    return first if named else DEFAULT_REGISTRY


@dataclass(frozen=True, slots=True)
class PullError:
    """A kind of failed pull.

    `whole_registry`: it strikes every image of that registry, so the registry is to blame.
    """

    word: str
    pattern: re.Pattern[str]
    title: str
    remedies: tuple[str, ...]
    whole_registry: bool = False


_IMAGE = ("fix-image", "rollback")

# Order matters: registries answer "denied or does not exist" for both, a message with
# "unauthorized" inside a 404 is about the right and not about the name.
TABLE: Final = (
    PullError(
        "image-rate-limited",
        re.compile(r"(?i)toomanyrequests|too many requests|rate limit|\b429\b"),
        "the registry refuses more pulls for now (rate limit)",
        ("fix-pull-secret", "fix-image"),
        whole_registry=True,
    ),
    PullError(
        "image-tls",
        re.compile(r"(?i)x509|certificate|tls: |server gave HTTP response to HTTPS client"),
        "the registry's TLS certificate is refused",
        ("fix-registry",),
        whole_registry=True,
    ),
    PullError(
        "image-architecture",
        re.compile(r"(?i)no match(?:ing manifest| for platform)|exec format error"),
        "the image has no build for the node's CPU architecture",
        _IMAGE,
    ),
    PullError(
        "registry-unreachable",
        re.compile(
            r"(?i)no such host|i/o timeout|connection refused|connection reset|network is unreach"
            r"|no route to host|deadline exceeded|server misbehaving|RegistryUnavailable"
            r"|\b50[0-4]\b|TLS handshake timeout"
        ),
        "the registry can not be reached from the node",
        ("fix-registry",),
        whole_registry=True,
    ),
    PullError(
        "image-unauthorized",
        re.compile(
            r"(?i)unauthorized|authentication required|\b401\b|\b403\b|forbidden|no basic auth"
            r"|authorization failed|access denied|pull access denied|insufficient_scope"
        ),
        "the registry does not allow this pull: the credentials are missing or wrong",
        ("fix-pull-secret", "fix-image", "rollback"),
    ),
    PullError(
        "image-not-found",
        re.compile(r"(?i)not found|manifest unknown|no such image|does not exist|\b404\b"),
        "the image does not exist in the registry",
        _IMAGE,
    ),
    PullError(
        "image-invalid-name",
        re.compile(r"(?i)invalid reference format|couldn't parse image|InvalidImageName"),
        "the image's name is not valid",
        _IMAGE,
    ),
    PullError(
        "image-never-pull",
        re.compile(r"(?i)ErrImageNeverPull|not present with pull policy of Never"),
        "the image is not on the node, and its pull policy is Never",
        _IMAGE,
    ),
)
UNKNOWN: Final = PullError(
    "image-pull", re.compile(""), "the image can not be pulled; nothing says why", _IMAGE
)


def read_pull_error(message: str) -> PullError | None:
    """Return what a pull's message means, None where it says nothing that we know."""
    head = message[:_LONGEST]
    return next((entry for entry in TABLE if entry.pattern.search(head)), None)
