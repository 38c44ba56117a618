"""Whatever a cluster says, nothing in a rendering is live but what dogwatch put there."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from slack_sdk.models.blocks import Block

from engine.model.delivery import Delivery, Occasion
from engine.model.report import Report
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
from engine.report.slack import MAX_BLOCKS, MAX_HEADER, MAX_TEXT, MAX_TOTAL
from tests.report.sample import (
    PAGE,
    a_delivery,
    a_digest,
    a_report_that_acted,
    a_shared_delivery,
    a_stuck_change,
)

FIXED = ("outcome", "verdict", "risk", "reversible", "status", "change", "url", "advice", "state")
"""What no cluster says: words of ours, and the address of our own page."""
LIVE = re.compile(
    r"https?://|ftp://|\bwww\.\w|mailto:|javascript:|[\w.+-]@\w"
    r"|\w\.(?:com|net|org|io|dev|app|info|biz|xyz|ru|cn|de|uk|zip|рф|中国)(?![\w-])",
    re.IGNORECASE,
)
"""What mail and chat programs make links of, in a run of text."""
MENTION = re.compile(r"(?<![\w`])@\w")
CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
OURS = re.compile(r"\x1b\[(?:0|1|2|1;31|3[1-6])m")

FRAGMENTS = (Path(__file__).parent / "hostile.fragments").read_text().split()
CONTROLS = (
    "\x00",
    "\x07",
    "\x08",
    "\x0b",
    "\x0c",
    "\x1b",
    "\x1b[31m",
    "\x1b[2J",
    "\x1b]0;t\x07",
    "\x1b]8;;http://evil.com\x1b\\",
    "\x1bP",
    "\x1b_x\x1b\\",
    "\x1b(0",
    "\x7f",
    "\x80",
    "\x9b31m",
    "\x9d0;x\x9c",
    "\r",
    "\n",
    "\r\n",
    "\n\n",
    "\t",
    " ",
    "    ",
    "\u00a0",
    "\u00ad",
    "\u0085",
    "\u200b",
    "\u200d",
    "\u200e",
    "\u2028",
    "\u2029",
    "\u202e",
    "\u2066",
    "\ufeff",
    "\U000e0041",
    "\ud800",
    "\udfff",
)
hostile = st.lists(
    st.one_of(
        st.sampled_from(FRAGMENTS),
        st.sampled_from(CONTROLS),
        st.text(max_size=12),
        st.sampled_from(FRAGMENTS).map(lambda text: text * 30),
    ),
    min_size=1,
    max_size=10,
).map("".join)
modest = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def poisoned(value: Any, text: str, key: str = "") -> Any:
    """`value` with `text` for every string that a cluster could have said."""
    if key == "per_cluster":
        return dict.fromkeys([text], "partial")
    if isinstance(value, dict):
        return {name: poisoned(item, text, name) for name, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, text, key) for item in value]
    return text if isinstance(value, str) and key not in FIXED else value


def a_poisoned_report(text: str) -> Report:
    value = a_report_that_acted().model_copy(update={"narrative": "x"}).model_dump()
    return Report.model_validate(_kept_severities(value, poisoned(value, text)))


GIVEN: dict[str, Callable[[], Delivery]] = {
    "shared": lambda: a_shared_delivery(Occasion.REPEAT),
    "digest": a_digest,
    "stuck": lambda: a_delivery(Occasion.CHANGE, applied=a_stuck_change()),
    "acted": lambda: a_delivery(Occasion.RESULT, report=a_report_that_acted()),
}
TOLD = [*Occasion, *GIVEN]
"""Kinds of deliveries: a change of one firing, what several share, what a change became."""


def a_poisoned_delivery(told: str, text: str) -> Delivery:
    given = GIVEN[told]() if told in GIVEN else a_delivery(Occasion(told))
    value = given.model_dump()
    return Delivery.model_validate(
        _kept_severities(value, poisoned(value, text)) | {"group": {text: text}, "severity": text}
    )


def _kept_severities(value: Any, changed: Any) -> Any:
    """Give findings and incidents their severity back: it is a word of ours."""
    if isinstance(value, dict):
        named = {name: item for name, item in value.items() if name in changed}
        kept = {name: _kept_severities(item, changed[name]) for name, item in named.items()}
        return {**changed, **kept} | (
            {"severity": value["severity"]} if "severity" in value else {}
        )
    if isinstance(value, list):
        return [_kept_severities(*pair) for pair in zip(value, changed, strict=True)]
    return changed


class Visible(HTMLParser):
    """The tags, the attributes and the runs of text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: set[str] = set()
        self.runs: list[str] = []
        self._styled = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._styled = tag == "style"
        assert all("url(" not in (value or "") for _, value in attrs)
        self.links |= {value or "" for name, value in attrs if name == "href"}

    def handle_endtag(self, _tag: str) -> None:
        self._styled = False

    def handle_data(self, data: str) -> None:
        if not self._styled:
            self.runs.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


OUR_PAGES = {PAGE, PAGE.rpartition("/")[0]}


def without_ours(text: str) -> str:
    """`text` without the address of our own page, which is meant to be live."""
    return re.sub(
        r"https://dogwatch\.example\.com/changes(?:/c-[0-9a-f]{20})?(?![\w/.-])", "", text
    )


PLAIN_PAGE = Visible(to_html(a_delivery(Occasion.RESULT)))


@pytest.mark.parametrize("told", TOLD)
@modest
@given(text=hostile)
def test_a_mail_has_no_tag_no_attribute_and_no_link_of_the_cluster(told: str, text: str) -> None:
    page = Visible(to_html(a_poisoned_delivery(told, text)))
    assert page.links <= OUR_PAGES
    ours = bool(page.links)
    assert page.tags - ({"a"} if ours else set()) <= PLAIN_PAGE.tags
    assert page.attributes - ({"href"} if ours else set()) <= PLAIN_PAGE.attributes
    assert not {"img", "script", "link", "iframe", "form"} & page.tags
    assert not {"src", "action", "background"} & page.attributes
    for run in page.runs:
        assert not LIVE.search(run), run
        assert not CONTROL.search(run), run


@pytest.mark.parametrize("told", TOLD)
@modest
@given(text=hostile)
def test_the_plain_mail_and_its_subject_hold_no_link_and_no_control(told: str, text: str) -> None:
    delivery = a_poisoned_delivery(told, text)
    plain = without_ours(to_plain(delivery))
    for said in (plain, subject(delivery), headline(delivery), fallback(delivery)):
        assert not LIVE.search(said), said
        assert not CONTROL.search(said), said
        said.encode()
    assert "\n" not in subject(delivery)
    assert len(subject(delivery)) <= 140


@pytest.mark.parametrize("told", TOLD)
@modest
@given(text=hostile)
@example(text="&" * 3000)
@example(text="<&> " * 700)
@example(text="`<" * 1500)
@example(text="a.com " * 400)
def test_slack_gets_no_link_no_mention_and_nothing_over_its_limits(told: str, text: str) -> None:
    delivery = a_poisoned_delivery(told, text)
    blocks = to_blocks(delivery, buttons=True)
    assert len(blocks) <= MAX_BLOCKS
    for block in Block.parse_all(blocks):
        block.validate_json()
    texts = [text for block in blocks for text in texts_of(block)]
    assert sum(len(text["text"]) for text in texts) <= MAX_TOTAL + 100
    for each in texts:
        assert 0 < len(each["text"]) <= (MAX_HEADER if each["type"] == "plain_text" else MAX_TEXT)
        assert_inert(each["text"]) if each["type"] == "mrkdwn" else assert_bare(each["text"])
        assert each.get("verbatim", True) is True
        assert each.get("emoji", False) is False
    assert_inert(fallback(delivery))


def texts_of(block: dict[str, Any]) -> list[dict[str, str]]:
    own = [block["text"]] if "text" in block else []
    elements = block.get("elements", [])
    return [*own, *(one["text"] if one["type"] == "button" else one for one in elements)]


def assert_bare(text: str) -> None:
    """Plain text: Slack parses none of it, so it need only hold no link and no control."""
    assert not CONTROL.search(text)
    assert not re.search(r"[<>]", text)
    assert not LIVE.search(text), text


def assert_inert(mrkdwn: str) -> None:
    """Nothing outside code may be parsed but our own link; inside code only entities are."""
    mrkdwn = re.sub(r"<([^|<>]+)\|Open [a-z ]+>", lambda found: without_ours(found[1]), mrkdwn)
    assert not CONTROL.search(mrkdwn)
    assert "<" not in mrkdwn
    assert ">" not in mrkdwn
    assert not re.search(r"&(?!amp;|lt;|gt;)", mrkdwn)
    bare = re.sub(r"```.*?```|`[^`\n]+`", " ", mrkdwn, flags=re.DOTALL)
    assert "`" not in bare, mrkdwn
    assert not LIVE.search(bare), bare
    assert not MENTION.search(bare), bare


PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
STRUCTURE = ("heading_open", "bullet_list_open", "fence", "paragraph_open")


def tokens(text: str) -> list[Token]:
    found = []
    for token in PARSER.parse(text):
        found += [token, *(token.children or [])]
    return found


@modest
@given(text=hostile)
@example(text="``x``Ǡ org/repo#1 <https://evil.com|click>")
@example(text="`    <!channel|x>http://evil.com")
def test_markdown_holds_no_markup_of_the_cluster(text: str) -> None:
    found = tokens(to_markdown(a_poisoned_report(text)))
    kinds = {token.type for token in found}
    assert not {"link_open", "image", "html_block", "html_inline", "table_open"} & kinds
    assert not {"blockquote_open", "ordered_list_open", "hr", "code_block", "s_open"} & kinds
    expected = [token.type for token in tokens(to_markdown(a_poisoned_report("x")))]
    for kind in STRUCTURE:
        assert [token.type for token in found].count(kind) <= expected.count(kind), kind
    for token in found:
        if token.type == "text":
            assert not LIVE.search(token.content), token.content
            assert not MENTION.search(token.content), token.content
        assert not CONTROL.search(token.content)


@modest
@given(text=hostile, width=st.integers(30, 160))
def test_a_terminal_gets_no_sequence_but_ours(text: str, width: int) -> None:
    report = a_poisoned_report(text)
    assert not CONTROL.search(to_text(report, width=width))
    assert not CONTROL.search(OURS.sub("", to_text(report, colour=True, width=width)))
    for told in (Occasion.RESULT, Occasion.APPROVAL, "stuck"):
        delivery = a_poisoned_delivery(told, text)
        assert not CONTROL.search(OURS.sub("", to_notice(delivery, colour=True, width=width)))


@modest
@given(text=hostile)
def test_every_rendering_is_the_same_twice(text: str) -> None:
    report, delivery = a_poisoned_report(text), a_poisoned_delivery(Occasion.RESULT, text)
    assert to_text(report) == to_text(report)
    assert to_markdown(report) == to_markdown(report)
    assert to_html(delivery) == to_html(delivery)
    assert to_blocks(delivery) == to_blocks(delivery)
