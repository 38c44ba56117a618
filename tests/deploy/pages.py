"""What the pages on operations and scale-out tell people to type and to write."""

from __future__ import annotations

import re
import shlex
from itertools import dropwhile, takewhile
from typing import Final

from tests.readme import ROOT

OPERATIONS: Final = ROOT / "docs" / "operations.md"
SCALE_OUT: Final = ROOT / "docs" / "scale-out.md"
PAGES: Final = (OPERATIONS, SCALE_OUT)


def lines(text: str) -> list[str]:
    """Return every line of the shell blocks in `text`."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def part(name: str) -> str:
    """Return what stands between the marks `name` of the page on scale-out."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", SCALE_OUT.read_text(), re.DOTALL)
    assert found is not None, name
    return found[1]


def yaml_of(name: str) -> str:
    """Return the YAML between the marks `name`."""
    found = re.search(r"```yaml\n(.*?)```", part(name), re.DOTALL)
    assert found is not None, name
    return found[1]


def commands(text: str) -> list[list[str]]:
    """Return the arguments of every dogwatch command, in shell blocks and within sentences."""
    inline = re.findall(r"`(dogwatch [a-z][^`]*)`", text)
    called = [shlex.split(line, comments=True) for line in [*lines(text), *inline]]
    bare = [list(dropwhile(lambda word: "=" in word, words)) for words in called]
    ours = [words[1:] for words in bare if words[:1] == ["dogwatch"]]
    return [list(takewhile(lambda word: word != ">", words)) for words in ours]
