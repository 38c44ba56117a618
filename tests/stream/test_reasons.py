"""Reasons are words for machines and sentences for people."""

import pytest

from engine.stream.reasons import SENTENCES, Reason, explain


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_own_sentence(reason: Reason) -> None:
    assert explain(reason.value) == SENTENCES[reason] != reason.value
    assert len(set(SENTENCES.values())) == len(Reason)


def test_a_word_of_somebody_else_stands_for_itself() -> None:
    assert explain("because") == "because"
