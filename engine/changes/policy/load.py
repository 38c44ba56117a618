"""A policy file is read as a whole: every fault is told with its place, or it is in force."""

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from engine.changes.policy.config import PolicyConfig
from engine.changes.policy.cross_checks import Known, cross_faults
from engine.changes.policy.policy import Place, Policy, User
from engine.model.errors import ConfigError, Fault
from engine.rules import yaml
from engine.rules.draft import entries
from engine.rules.grammar import GROUP
from engine.rules.intervals import intervals
from engine.rules.modelled import fields_of, message, place
from engine.rules.rule import Interval
from engine.rules.shapes import Record
from engine.rules.shaping import Notes, sound
from engine.rules.wording import printable
from engine.rules.yaml import Node, Source

MAX_FAULTS = 250
MAX_TEXT = 1000
_SECRETS = {"token", "tokens", "password", "secret"}


def load_policy(
    path: str,
    text: str | bytes,
    clusters: Mapping[str, Place] | None = None,
    templates: Collection[str] | None = None,
) -> Policy:
    """Return the policy of `text`.

    Args:
        path: how faults name it; nothing is read.
        text: YAML.
        clusters: those of the configuration by name, None: names are not checked.
        templates: names of the change templates, None: they are not checked.

    Raises:
        ConfigError: holds every fault, one a line, each `path:line:column`.
    """
    faults, config = _read(path, text, Known(clusters, templates))
    if config is None or faults:
        raise ConfigError("\n".join(map(str, faults)))
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return Policy(config, _users(config), clusters, hashlib.sha256(data).hexdigest())


def policy_faults(
    path: str,
    text: str | bytes,
    clusters: Mapping[str, Place] | None = None,
    templates: Collection[str] | None = None,
) -> list[Fault]:
    """Return every fault of the policy in `text`, in order of place; see `load_policy`."""
    return _read(path, text, Known(clusters, templates))[0]


def _read(path: str, text: str | bytes, known: Known) -> tuple[list[Fault], PolicyConfig | None]:
    source = yaml.read(path, text)
    faults = list(source.faults) or _documents(source)
    if faults:
        return faults, None
    root = source.documents[0]
    notes = Notes(source)
    named = _intervals(root, notes)
    settings = root.plain()
    told = dict.fromkeys(notes.faults)
    config = None

    def tell(where: tuple[int | str, ...], said: str, code: str) -> None:
        line, column = place(root, where)
        shown = printable(said if len(said) <= MAX_TEXT else said[:MAX_TEXT] + "...")
        told[Fault(path, line, column, shown, code=code)] = None

    try:
        config = PolicyConfig.model_validate({**settings, "intervals": named})
    except ValidationError as error:
        for details in error.errors(include_url=False):
            tell(details["loc"], _said(details), details["type"])
    for where, said in cross_faults(settings, known):
        tell(where, said, "policy")
    return sorted(told)[:MAX_FAULTS], config


def _documents(source: Source) -> list[Fault]:
    """Return what is wrong with the file as a whole: it has to be one mapping."""
    if len(source.documents) > 1:
        second = source.documents[1]
        said = "one document is allowed"
        return [Fault(source.path, second.line, second.column, said, code="documents")]
    root = source.documents[0] if source.documents else Node(None, 1, 1)
    if isinstance(root.value, dict):
        return []
    known = ", ".join(PolicyConfig.model_fields)
    said = f"expected a policy: a mapping with {known}"
    return [Fault(source.path, root.line, root.column, said, code="type")]


def _said(details: Any) -> str:
    where = details["loc"]
    if details["type"] == "extra_forbidden" and where[-1] in _SECRETS and where[0] == "users":
        return (
            f"{'.'.join(map(str, where))}: a policy holds no secrets; give token_sha256, which "
            'printf %s "$TOKEN" | sha256sum prints'
        )
    return message(details, fields_of(PolicyConfig, where[:-1]))


def _intervals(root: Node, notes: Notes) -> Mapping[str, Interval]:
    """Return the named intervals, in the grammar of rule files; what is wrong is told."""
    node = entries(root).get("intervals")
    spec = GROUP.fields["spec"].shape
    if node is None or not isinstance(spec, Record):
        return {}
    found = sound(node, spec.fields["intervals"].shape, notes)
    if notes.faults:
        return {}
    return intervals([(found, notes)])


def _users(config: PolicyConfig) -> Mapping[str, User]:
    return {
        name: User(
            name,
            tuple(group for group, members in config.groups.items() if name in members),
            one.email or "",
            (one.slack.team, one.slack.user) if one.slack else ("", ""),
            one.subject or "",
            one.token_sha256 or "",
        )
        for name, one in config.users.items()
    }
