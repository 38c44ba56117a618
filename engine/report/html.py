"""Parts as the HTML body of a mail: inline styles, no remote content, nothing to click."""

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from engine.model.delivery import Delivery
from engine.report.inert import ADDRESS_MARK
from engine.report.notice import delivery_parts, headline, subject
from engine.report.outline import Diff, Part, Tone, left_of, sign_of

TONES = {
    Tone.CRITICAL: "#c62828",
    Tone.HIGH: "#d84315",
    Tone.MEDIUM: "#a85f00",
    Tone.LOW: "#1565c0",
    Tone.INFO: "#52646e",
    Tone.GOOD: "#2e7d32",
    Tone.UNKNOWN: "#6a4c93",
}


def to_html(delivery: Delivery) -> str:
    """Return `delivery` as an HTML document for a mail: the same bytes each time."""
    return _TEMPLATE.render(
        title=subject(delivery), preview=headline(delivery), parts=list(delivery_parts(delivery))
    )


def inert(text: str) -> Markup:
    """Return `text` escaped, with what makes an address in a tag of its own.

    Mail programs look for addresses in runs of text, so a tag in between ends the run; what a
    person sees and copies stays the same.
    """
    pieces, end = [], 0
    for match in ADDRESS_MARK.finditer(text):
        pieces += [escape(text[end : match.start()]), Markup("<span>"), escape(match[0])]
        pieces.append(Markup("</span>"))
        end = match.end()
    return Markup("").join([*pieces, escape(text[end:])])


def _rows(diff: Diff) -> list[tuple[str, str]]:
    """Return the lines of `diff` with their tones."""
    rows = [(str(sign_of(line) or "dim"), line) for line in diff.text.splitlines()]
    return [*rows, ("dim", left_of(diff))] if diff.rest else rows


def _form(part: Part) -> str:
    return type(part).__name__.lower()


_ENVIRONMENT = Environment(
    loader=PackageLoader("engine.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(inert=inert, form=_form, rows=_rows)
_ENVIRONMENT.globals["tones"] = TONES
_TEMPLATE = _ENVIRONMENT.get_template("mail.html.j2")
