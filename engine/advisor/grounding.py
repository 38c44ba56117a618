"""Grounding: a sentence of a model stands only where the evidence carries it."""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum

from engine.advisor.answer import Sentence
from engine.advisor.question import Question

_IDENTIFIER = re.compile(r"[A-Za-z0-9_][\w./:@+-]*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_ORDERS = re.compile(
    r"[`$<>{}\[\]|\\@]|://|\bwww\.|\.(?:com|net|org|io|dev)\b"
    r"|\b(?:kubectl|helm|oc|curl|wget|bash|sh|sudo|docker|ssh|rm|click|visit|http|https|url|link)\b"
    r"|\b(?:approve[ds]?|approval|approving|authori[sz]e[ds]?|skip|bypass|override|ignore|disregard"
    r"|password|passphrase|credentials?|token|instructions?|prompt)\b",
    re.IGNORECASE,
)
"""What no explanation needs: links, markup, commands, and words about leave and gates."""


class Drop(StrEnum):
    """Why a sentence was dropped."""

    EVIDENCE = "cites evidence that is not there"
    NAME = "names what is not in the evidence"
    NUMBER = "holds a number that is not in the evidence"
    ORDER = "tells what to do, or holds a link or markup"


def grounded(
    sentences: Iterable[Sentence], question: Question
) -> tuple[list[Sentence], list[Drop]]:
    """Return the sentences that the question carries, and why each of the others does not."""
    kept: list[Sentence] = []
    dropped: list[Drop] = []
    words = frozenset(word.lower() for word in _identifiers(question.text))
    numbers = frozenset(_NUMBER.findall(question.text))
    for sentence in sentences:
        why = _why_not(sentence, question, words, numbers)
        if why is None:
            kept.append(sentence)
        else:
            dropped.append(why)
    return kept, dropped


def _why_not(
    sentence: Sentence, question: Question, words: frozenset[str], numbers: frozenset[str]
) -> Drop | None:
    if any(id_ not in question.evidence for id_ in sentence.evidence):
        return Drop.EVIDENCE
    if _ORDERS.search(sentence.text) or not sentence.text.isprintable():
        return Drop.ORDER
    if any(word.lower() not in words for word in _identifiers(sentence.text) if _is_name(word)):
        return Drop.NAME
    if any(number not in numbers for number in _NUMBER.findall(sentence.text)):
        return Drop.NUMBER
    return None


def _identifiers(text: str) -> Iterator[str]:
    for found in _IDENTIFIER.finditer(text):
        yield found.group().rstrip(".:/-+")


def _is_name(word: str) -> bool:
    """Whether `word` is no plain word: it has a digit, or a mark within."""
    return not word.isalpha() and not _NUMBER.fullmatch(word)
