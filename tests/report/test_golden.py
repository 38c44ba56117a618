"""Renderings are checked byte for byte; look at a changed file before keeping it.

To keep what is rendered now: `python -m tests.report.test_golden`.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.model.delivery import Delivery, Occasion
from engine.report import (
    fallback,
    headline,
    subject,
    to_blocks,
    to_markdown,
    to_notice,
    to_plain,
    to_text,
)
from engine.report.html import to_html
from tests.report.sample import (
    a_delivery,
    a_digest,
    a_report,
    a_report_that_acted,
    a_rolled_back_change,
    a_shared_delivery,
    a_stuck_change,
)

GOLDEN = Path(__file__).parent / "golden"


def slack(delivery: Delivery) -> str:
    message = {"text": fallback(delivery), "blocks": to_blocks(delivery)}
    return json.dumps(message, indent=1, ensure_ascii=False) + "\n"


def buttons(delivery: Delivery) -> str:
    return json.dumps(to_blocks(delivery, buttons=True)[-2:], indent=1, ensure_ascii=False) + "\n"


def mail(delivery: Delivery) -> str:
    return f"{subject(delivery)}\n{headline(delivery)}\n\n{to_plain(delivery)}"


def rendered(change: Occasion, render: Callable[[Delivery], str]) -> Callable[[], str]:
    return lambda: render(a_delivery(change))


def ended(name: str) -> Delivery:
    return {
        "digest": a_digest(),
        "rolled-back": a_delivery(Occasion.CHANGE, applied=a_rolled_back_change()),
        "needs-human": a_delivery(Occasion.CHANGE, applied=a_stuck_change()),
        "acted": a_delivery(Occasion.RESULT, report=a_report_that_acted()),
    }[name]


def other(name: str, render: Callable[[Delivery], str]) -> Callable[[], str]:
    return lambda: render(ended(name))


def shared(change: Occasion, render: Callable[[Delivery], str]) -> Callable[[], str]:
    return lambda: render(a_shared_delivery(change))


TOLD: dict[str, Callable[[Delivery], str]] = {
    "notice.txt": to_notice,
    "mail.txt": mail,
    "mail.html": to_html,
    "slack.json": slack,
}
RENDERINGS: dict[str, Callable[[], str]] = {
    "report.txt": lambda: to_text(a_report()),
    "report.narrow.txt": lambda: to_text(a_report(), width=60),
    "report.ansi": lambda: to_text(a_report(), colour=True),
    "report.md": lambda: to_markdown(a_report()),
    **{
        f"shared-{change}.{name}": shared(change, render)
        for change in (Occasion.FIRE, Occasion.REPEAT, Occasion.RESOLVE)
        for name, render in TOLD.items()
    },
    "approval.buttons.slack.json": lambda: buttons(a_delivery(Occasion.APPROVAL)),
    "acted.md": lambda: to_markdown(a_report_that_acted()),
    **{
        f"{which}.{name}": other(which, render)
        for which in ("digest", "rolled-back", "needs-human", "acted")
        for name, render in TOLD.items()
    },
    **{f"{change}.notice.txt": rendered(change, to_notice) for change in Occasion},
    **{f"{change}.mail.txt": rendered(change, mail) for change in Occasion},
    **{f"{change}.mail.html": rendered(change, to_html) for change in Occasion},
    **{f"{change}.slack.json": rendered(change, slack) for change in Occasion},
}


@pytest.mark.parametrize("name", RENDERINGS)
def test_a_rendering_is_what_was_agreed(name: str) -> None:
    assert RENDERINGS[name]().encode() == (GOLDEN / name).read_bytes()


def test_every_agreed_rendering_is_still_made() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(RENDERINGS)


if __name__ == "__main__":
    for name, render in RENDERINGS.items():
        (GOLDEN / name).write_bytes(render().encode())
