"""Parts as Slack blocks, within Slack's limits: 50 blocks, 3000 characters a text.

Source: the Block Kit reference; header 150, section field 2000, at most 10 fields.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from engine.model.change_row import Verdict
from engine.model.delivery import Ask, Delivery
from engine.report.inert import ADDRESS_MARK, brief
from engine.report.notice import CHAT, delivery_parts, headline
from engine.report.outline import (
    Banner,
    Card,
    Command,
    Diff,
    Face,
    Facts,
    Heading,
    Items,
    Line,
    Link,
    Paragraph,
    Part,
    Shown,
    Span,
    Tone,
    left_of,
    plain,
    strong,
)

Block = dict[str, Any]

MAX_BLOCKS = 50
MAX_TEXT = 3000
MAX_HEADER = 150
MAX_TOTAL = 12_000
"""Characters of all blocks together: beyond some 13,000 Slack refuses the message."""

MARKS = {
    Tone.CRITICAL: "🔴",
    Tone.HIGH: "🟠",
    Tone.MEDIUM: "🟡",
    Tone.LOW: "🔵",
    Tone.INFO: "⚪",
    Tone.GOOD: "🟢",
    Tone.UNKNOWN: "🟣",
}
ACTIONS = {"dogwatch.approve": Verdict.APPROVE, "dogwatch.deny": Verdict.DENY}
"""Ids of the buttons -> what a click says; the value of a button is change and digest."""
_CONFIRMS = {Verdict.APPROVE: "Let it stay", Verdict.DENY: "Roll it back"}
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_LONGEST_ENTITY = len("&amp;")
_ANGLES = str.maketrans("<>", "\u2039\u203a")
"""For plain text, which knows no entities: angles that open nothing."""
_MARKUP = re.compile(r"[*~]|(?<!\w)_|_(?!\w)")
_FENCE = re.compile(r"`{3,}")
_MAX_COMMAND = 2500
_MAX_LINE = 600
_MAX_WORD = 120
_REST = "Shortened: the whole report is in dogwatch."


def to_blocks(delivery: Delivery, *, buttons: bool = False) -> list[Block]:
    """Return `delivery` as Block Kit blocks: at most 50, none over Slack's limits.

    With `buttons` a change that waits can be decided right there, where a click is enough.
    """
    asked = buttons and delivery.ask is not None and not delivery.ask.more
    tail = list(_decision(delivery.ask)) if asked and delivery.ask else []
    blocks: list[Block] = []
    for block in _blocks(delivery_parts(delivery, CHAT)):
        if len(blocks) == MAX_BLOCKS - 1 - len(tail) or _size([*blocks, block]) > MAX_TOTAL:
            return [*blocks, _context(_REST), *tail]
        blocks.append(block)
    return [*blocks, *tail]


def to_line(delivery: Delivery) -> list[Block]:
    """Return the one sentence about `delivery`, in the place of a message that is over."""
    return [_context(_set_line((plain(headline(delivery)),)))]


def fallback(delivery: Delivery) -> str:
    """Return the text of the notification, where blocks are not shown."""
    return headline(delivery).replace("`", "'").translate(_ENTITIES)


def _decision(ask: Ask) -> Iterator[Block]:
    """Yield the buttons; what needs more than a click says where it is to be had."""
    buttons = [_button(name, verdict, ask) for name, verdict in ACTIONS.items()]
    if ask.typed or not ask.groups:
        buttons = buttons[1:]
        if ask.typed:
            yield _context("To approve it its name has to be typed: use the page or the CLI.")
    yield {"type": "actions", "block_id": "dogwatch.decide", "elements": buttons}


def _button(name: str, verdict: Verdict, ask: Ask) -> Block:
    said = _CONFIRMS[verdict] if ask.confirm else verdict.capitalize()
    return {
        "type": "button",
        "action_id": name,
        "text": {"type": "plain_text", "text": said, "emoji": False},
        "style": "primary" if verdict is Verdict.APPROVE else "danger",
        "value": f"{ask.change} {ask.digest}",
    }


def _blocks(parts: Iterable[Part]) -> Iterator[Block]:
    for part in parts:
        match part:
            case Banner():
                yield from _banner(part)
            case Heading():
                yield {"type": "divider"}
                yield from _sections(_set_part(part))
            case _:
                yield from _sections(_set_part(part))


def _banner(banner: Banner) -> Iterator[Block]:
    title = "".join(span.text for span in banner.title)
    text = brief(f"{MARKS[banner.tone]} {title}", MAX_HEADER).translate(_ANGLES)
    yield {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": False}}
    kicker = tuple(strong(span.text) for span in banner.kicker)
    note = (plain(" · "), *banner.note) if banner.note else ()
    yield _context(_set_line((*kicker, *note)))


def _set_part(part: Part) -> Iterator[str]:
    match part:
        case Heading():
            note = (plain(" · "), *part.note) if part.note else ()
            yield _set_line((*(strong(span.text) for span in part.title), *note))
        case Paragraph():
            yield _set_line(part.line)
        case Facts():
            yield from (_set_line((strong(label), plain(" "), *line)) for label, line in part.rows)
        case Card():
            yield from _set_card(part)
        case Banner():
            yield _set_line(part.title)
        case _:
            yield from _set_block(part)


def _set_block(part: Shown) -> Iterator[str]:
    match part:
        case Items():
            yield from _set_items(part)
        case Command():
            yield _set_fence(part.text)
        case Diff():
            yield _set_fence(part.text)
            if part.rest:
                yield _set_line((plain(left_of(part)),))
        case Link():
            if part.url:
                yield f"<{part.url}|{part.label}>"


def _set_fence(text: str) -> str:
    text = _FENCE.sub("'", text)
    kept = _MAX_COMMAND
    while len(escaped := _cut(text, kept).translate(_ENTITIES)) > _MAX_COMMAND:
        kept -= 1 + (len(escaped) - _MAX_COMMAND) // _LONGEST_ENTITY
    return f"```\n{escaped}\n```"


def _set_card(card: Card) -> Iterator[str]:
    yield _set_line((plain(f"{MARKS[card.tone]} {card.badge}: "), *card.title))
    for part in card.parts:
        yield from _set_part(part)


def _set_items(items: Items) -> Iterator[str]:
    if items.caption:
        yield f"_{items.caption}_"
    for item in items.items:
        yield _set_line((item.mark, plain(" "), *item.line))
        yield from ("      " + _set_line(note) for note in item.notes)


def _sections(lines: Iterable[str]) -> Iterator[Block]:
    """Yield sections of as many `lines` as fit into a text."""
    packed = ""
    for line in lines:
        if packed and len(packed) + 1 + len(line) > MAX_TEXT:
            yield _section(packed)
            packed = ""
        packed = f"{packed}\n{line}" if packed else line
    if packed.strip():
        yield _section(packed)


def _section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text)}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_mrkdwn(text)]}


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _set_line(line: Line) -> str:
    """Return `line` as mrkdwn, far below the 3000 characters of a text."""
    text = ""
    for span in line:
        if len(text) > _MAX_LINE:
            return text + "…"
        piece = _set_span(span)
        text += " " * (text[-1:] == "`" == piece[:1]) + piece  # two spans of code stay two
    return text


def _set_span(span: Span) -> str:
    text = span.text.strip(" ")
    if span.face is Face.CODE:
        core = _coded(_cut(text, _MAX_LINE // 3))
    else:
        core = _words(text)
        core = f"*{core}*" if core and span.face in {Face.STRONG, Face.TONE} else core
    before = " " * (len(span.text) - len(span.text.lstrip(" ")))
    after = " " * (len(span.text) - len(span.text.rstrip(" "))) if core else ""
    return before + core + after


def _words(text: str) -> str:
    """Return `text` word by word; one that Slack would link or format is set as code."""
    words: list[str] = []
    for word in text.split(" "):
        if sum(map(len, words)) > _MAX_LINE:
            return " ".join([*words, "…"])
        kept = _cut(word, _MAX_WORD)
        special = ADDRESS_MARK.search(kept) or _MARKUP.search(kept) or "`" in kept
        words.append(_coded(kept) if special else kept.translate(_ENTITIES))
    return " ".join(words)


def _coded(text: str) -> str:
    text = text.replace("`", "'").translate(_ENTITIES)
    return f"`{text}`" if text else ""


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _size(blocks: Iterable[Block]) -> int:
    """Return the characters of the texts of `blocks`."""
    return sum(
        len(text["text"])
        for block in blocks
        for text in (*block.get("elements", ()), *([block["text"]] if "text" in block else ()))
    )
