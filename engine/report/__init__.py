"""Reports and deliveries for people: terminal, Markdown, mail and Slack. Pure.

The HTML of mails is in `engine.report.html` only: its templates take long to import.
"""

from engine.model.delivery import Delivery
from engine.model.report import Report
from engine.report import markdown, text
from engine.report.content import report_parts
from engine.report.inert import spelled
from engine.report.notice import delivery_parts, headline, subject
from engine.report.slack import fallback, to_blocks
from engine.report.text import Page

__all__ = [
    "fallback",
    "headline",
    "subject",
    "to_blocks",
    "to_markdown",
    "to_notice",
    "to_plain",
    "to_text",
]

_MAIL_WIDTH = 76


def to_text(report: Report, *, colour: bool = False, width: int = 100) -> str:
    """Return the whole report for a terminal of `width` cells.

    Colours are ANSI sequences of ours; text of the cluster never holds one.
    """
    return text.set_parts(report_parts(report), Page(width, colour))


def to_markdown(report: Report) -> str:
    """Return the whole report as Markdown; text of the cluster never becomes markup."""
    return markdown.set_parts(report_parts(report))


def to_plain(delivery: Delivery) -> str:
    """Return the plain-text twin of the mail, 76 cells wide, addresses defanged."""
    return text.set_parts(delivery_parts(delivery), Page(_MAIL_WIDTH, spell=spelled))


def to_notice(delivery: Delivery, *, colour: bool = False, width: int = 100) -> str:
    """Return a delivery for a terminal of `width` cells."""
    return text.set_parts(delivery_parts(delivery), Page(width, colour))
