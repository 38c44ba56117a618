"""What stands between marks in docs/changes.md: `python -m tests.changes.policy.page` makes it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel

from engine.changes.policy import Place, Policy, load_policy
from engine.changes.policy.config import PROTECTED, PolicyConfig
from engine.changes.policy.question import sentences, who
from engine.changes.templates import TEMPLATES
from engine.model.change import Risk
from engine.model.change_state import MOVES, ChangeState
from engine.model.instant import format_duration
from tests.readme import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

PAGE = ROOT / "docs" / "changes.md"
CLUSTERS = {"prod-eu": Place({"env": "prod"}), "stage-eu": Place({"env": "staging"})}
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
NIGHT = datetime(2026, 12, 1, 22, tzinfo=UTC)
QUESTIONS = (
    ("prod-eu", "payments", Risk.SAFE, NOON),
    ("prod-eu", "payments", Risk.DESTRUCTIVE, NIGHT),
    ("stage-eu", "shop", Risk.DISRUPTIVE, NOON),
    ("prod-eu", "kube-system", Risk.SAFE, NOON),
)


def fresh() -> str:
    """Return the page as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    parts = {
        "states": states(),
        "templates": templates(),
        "who": answers(example(text)),
        "fields": fields(),
    }
    for name, block in parts.items():
        found = re.search(rf"<!-- {name} -->\n.*?<!-- /{name} -->", text, re.DOTALL)
        assert found is not None, f"no block '{name}'"
        made = f"<!-- {name} -->\n{block}\n<!-- /{name} -->"
        text = text[: found.start()] + made + text[found.end() :]
    return text


def example(text: str, more: str = "") -> Policy:
    """Return the policy that the page shows, with `more` after it."""
    return load_policy("docs/changes.md", blocks(text)[0] + more, CLUSTERS, TEMPLATES)


def blocks(text: str) -> list[str]:
    """Return the YAML on the page: the policy, and the block for OIDC."""
    return re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)


def states() -> str:
    """Return the states and moves as Mermaid draws them."""
    names = {state: state.value.replace("-", "_") for state in ChangeState}
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f'    state "{state}" as {name}' for state, name in names.items() if "-" in state]
    lines += [f"    [*] --> {names[ChangeState.DRAFT]}"]
    lines += [f"    {names[at]} --> {names[to]}: {event}" for (at, event), to in MOVES.items()]
    lines += [f"    {name} --> [*]" for state, name in names.items() if state.final]
    return "\n".join([*lines, "```"])


def templates() -> str:
    """Return the table of all templates."""
    rows = ["| template | what it does | risk | can be undone |", "|---|---|---|---|"]
    for name, one in TEMPLATES.items():
        undone = f"{one.reversible}: {one.why_reversible}"
        rows.append(f"| `{name}` | {one.summary} | `{one.risk}` | {undone} |")
    return "\n".join(rows)


def answers(policy: Policy) -> str:
    """Return what the command says to the questions of the page."""
    lines = ["```console"]
    for cluster, namespace, risk, now in QUESTIONS:
        asked = f"--cluster {cluster} --namespace {namespace} --risk {risk}"
        lines.append(f"$ dogwatch policy who {asked}  # {now:%A, %H:%M} UTC")
        lines += sentences(who(policy, (cluster, namespace), risk, now), risk)
    return "\n".join([*lines, "```"])


def fields() -> str:
    """Return the table of every field of the file."""
    rows = ["| field | default |", "|---|---|"]
    rows += [f"| `{path}` | {default} |" for path, default in _fields(PolicyConfig, "")]
    return "\n".join(rows)


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        inner, step = _inner(field.annotation)
        path = f"{prefix}{name}{step}"
        if inner is None or name == "clusters":
            yield path, _default(path, field)
        else:
            yield from _fields(inner, f"{path}.")


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """Return the block within an annotation, and what stands for its key or place."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    step = {dict: ".NAME", tuple: "[]"}.get(get_origin(annotation), "")
    for part in get_args(annotation):
        found, below = _inner(part)
        if found is not None:
            return found, step + below
    return None, ""


def _default(path: str, field: FieldInfo) -> str:
    if path == "protected.namespaces":
        return "beside " + ", ".join(f"`{name}`" for name in PROTECTED)
    if path == "expiry":
        return "`4h`, for lockout-capable `15m`"
    if field.is_required():
        return "required"
    return _shown(field.get_default(call_default_factory=True))


def _shown(value: Any) -> str:
    if isinstance(value, BaseModel) or value in (("*",), tuple(Risk)):
        return "all"
    if value in ((), {}, None, ""):
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"`{name}: {text}`" for name, text in value.items())
    return f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    if isinstance(value, timedelta):
        return format_duration(value // timedelta(microseconds=1))
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    PAGE.write_text(fresh(), encoding="utf-8")
