"""What people read when an expression is refused: the whole text, as it stands.

In messages.txt an expression, which may have several lines, stands before its `=> message`.
"""

from pathlib import Path

import pytest

from engine.rules.cel import CelError, compile  # noqa: A004 (its name)
from tests.rules.cel.declared import SCHEMA

_BLOCKS = Path(__file__).with_name("messages.txt").read_text().rstrip("\n").split("\n\n")
MESSAGES = [block.rsplit("\n=> ", maxsplit=1) for block in _BLOCKS]


@pytest.mark.parametrize(("source", "wanted"), MESSAGES)
def test_a_refusal_says_where_what_was_found_and_what_is_allowed(source: str, wanted: str) -> None:
    with pytest.raises(CelError) as caught:
        compile(source, schema=SCHEMA)
    assert str(caught.value) == wanted
    assert "\n" not in wanted
