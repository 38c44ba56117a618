"""Messages stay short and printable, and guess what was meant."""

from engine.rules.wording import choices, guess, quoted, unknown


def test_what_was_found_is_cut_and_made_printable() -> None:
    assert quoted("a\n\x1b[31m") == r"'a\n\x1b[31m'"
    assert quoted("x" * 100) == "'" + "x" * 48 + "...'"


def test_many_choices_are_cut() -> None:
    assert choices(f"c{i:03}" for i in range(50)).endswith("c039 and 10 more")


def test_the_nearest_word_is_guessed() -> None:
    assert unknown("field", "percnt", ["percent", "node"], of="gpu.busy") == (
        "unknown field 'percnt' of gpu.busy; known: node, percent; did you mean 'percent'?"
    )
    assert unknown("sink", "x", []) == "unknown sink 'x'; known: none"


def test_among_very_many_words_the_beginning_counts() -> None:
    words = [f"rule-{i}" for i in range(5000)] + ["node-not-ready"]
    assert guess("node-not-redy", words) == "; did you mean 'node-not-ready'?"


def test_no_guess_is_made_for_what_is_no_slip() -> None:
    assert guess("x" * 5000, ["x" * 4999]) == ""
    assert guess("zebra", ["node"]) == ""
