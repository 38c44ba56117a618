"""Pages of HTML: templates that escape, text of clusters cleaned, one style sheet."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from engine.model.instant import rfc3339, to_us
from engine.report.clean import clean_lines
from engine.report.outline import Part
from engine.report.words import PROBES, instant, lasted

LONGEST = 20_000
"""Characters of one value on a page."""
DIFF_LINES = 5000
_SIDES = {"+": ("add", "added"), "-": ("del", "removed"), "@": ("hunk", "")}
_TONES = {
    "verified": "good",
    "done": "good",
    "ok": "good",
    "yes": "good",
    "awaiting": "medium",
    "proposed": "medium",
    "waiting": "medium",
    "holds back": "medium",
    "safe": "good",
    "disruptive": "medium",
    "destructive": "critical",
    "lockout-capable": "critical",
    "failed": "critical",
    "firing": "critical",
    "critical": "critical",
    "high": "high",
    "medium": "medium",
    "low": "low",
    "unverified": "critical",
    "needs-human": "critical",
    "verify-failed": "critical",
    "rolling-back": "high",
    "rolled-back": "high",
    "precheck-failed": "high",
    "dry-run-failed": "high",
    "conflict": "high",
    "partial": "unknown",
    "findings": "high",
}


@cache
def style() -> tuple[str, bytes]:
    """Return the name of the style sheet, with its digest, and its bytes."""
    text = files("engine.web").joinpath("style.css").read_bytes()
    return f"style-{sha256(text).hexdigest()[:16]}.css", text


def page(name: str, fields: Mapping[str, Any]) -> str:
    """Return the page of the template `name`; each of `fields` is there by its name."""
    return _environment().get_template(f"{name}.html.j2").render(**fields)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("engine.web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        at=_at,
        diff=_diff,
        form=_form,
        id=lambda text: quote(text, safe=""),
        instant=instant,
        lasted=lasted,
        probe=lambda name: PROBES.get(name, name),
        tone=lambda word: _TONES.get(word, "info"),
    )
    environment.globals["style"] = style()[0]
    return environment


def _shown(value: Any) -> Any:
    """Return `value` as it may stand in a page: text without what steers or hides."""
    if isinstance(value, Markup):
        return value
    return clean_lines(value, LONGEST) if isinstance(value, str) else value


def _at(at: datetime) -> Markup:
    """Return an instant as an element that says it to people and programs."""
    return Markup('<time datetime="{}">{}</time>').format(rfc3339(to_us(at)), instant(at))


def _diff(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the lines of a unified diff: class, what a screen reader says first, text."""
    lines = text.splitlines()
    for line in lines[:DIFF_LINES]:
        heading = line.startswith(("+++", "---"))
        side, said = ("file", "") if heading else _SIDES.get(line[:1], ("same", ""))
        yield side, said, line
    if len(lines) > DIFF_LINES:
        yield "file", "", f"… and {len(lines) - DIFF_LINES} more lines"


def _form(part: Part) -> str:
    return type(part).__name__.lower()
