"""Text of a cluster is cleaned whole: sequences go with their arguments."""

import re

import pytest

from engine.model.delivery import Occasion
from engine.report import to_plain
from engine.report.clean import LIMIT, clean, clean_lines
from engine.report.inert import brief, defanged, spelled
from tests.report.sample import a_delivery


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("plain text", "plain text"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07after", "0;titleafter"),
        ("\x1b]8;;http://evil.com\x1b\\click\x1b]8;;\x1b\\", "8;;http://evil.comclick8;;"),
        ("\x1b(0lines", "lines"),
        ("\x1bPnothing is hidden", "nothing is hidden"),
        ("a\x00b\x07c\x7fd", "abcd"),
        ("pass\u200bword\u2060\ufeff", "password"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        ("a\u2028b\u2029c", "a b c"),
        ("tag\U000e0041\U000e007f", "tag"),
        ("lone\ud800", "lone\ufffd"),
        ("a\tb \n\n c\r\nd\re", "a b c d e"),
        ("\u3164\u2800x", "x"),
        ("größe 漢字 🙂", "größe 漢字 🙂"),
    ],
)
def test_what_could_steer_is_taken_out_and_the_rest_stays(text: str, left: str) -> None:
    assert clean(text) == left


def test_lines_stay_where_they_are_asked_for() -> None:
    assert clean_lines("a\r\nb\rc\x1b[0m\n") == "a\nb\nc\n"


def test_long_text_ends_in_an_ellipsis() -> None:
    assert clean("x" * 50, 10) == "x" * 9 + "…"
    assert len(clean("\x1b[31m" * 10_000 + "x", 10)) <= 10


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("see https://a.example.com/x", "see https[:]//a.example[.]com/x"),
        ("mail a@b.de now", "mail a[@]b[.]de now"),
        ("@channel", "[@]channel"),
        ("www.evil", "www[.]evil"),
        ("version 2.4.1 of deployments.apps", "version 2.4.1 of deployments.apps"),
        ("status.containerStatuses[0].lastState", "status.containerStatuses[0].lastState"),
        ("at 11:58:45, ratio 3:1", "at 11:58:45, ratio 3:1"),
    ],
)
def test_only_addresses_and_mentions_are_defanged(text: str, left: str) -> None:
    assert defanged(text) == left


def test_a_word_that_grows_when_it_is_defanged_is_cut_before() -> None:
    for pad in range(40):
        word = "x" * pad + "http://evil.com" * 130
        assert len(spelled(word)) <= LIMIT
        told = a_delivery(Occasion.FIRE, group={"pod": word})
        assert not re.search(r"(?<!\[)\.com(?!\w)", to_plain(told))


def test_a_cut_makes_no_address_of_what_was_none() -> None:
    for limit in range(8, 60):
        said = brief("evil.comet " * 9, limit)
        assert len(said) <= limit
        assert defanged(said.replace("[.]", "")) == said.replace("[.]", "")
