"""A server or tool that is not there: skipped by name, or a failure where all are required."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

_MARK = re.compile(r"TESTBED_MISSING:(?P<server>[^:]+):(?P<how>[^'\"\n]+)")


def missing(server: str, how: str) -> NoReturn:
    """End the test: skipped, or failed when REQUIRE_TESTBEDS=1.

    Args:
        server: what is missing, by the name in the summary.
        how: one line that says how to get it.
    """
    reason = f"TESTBED_MISSING:{server}:{how}"
    if os.environ.get("REQUIRE_TESTBEDS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def tally(reasons: Iterable[str]) -> list[str]:
    """Return the summary's lines, one per missing server: how many tests, and how to get it."""
    found = [match for match in map(_MARK.search, reasons) if match]
    counts = Counter((match["server"], match["how"].strip()) for match in found)
    return [
        f"{server}: {count} {'test' if count == 1 else 'tests'} did not run; {how}"
        for (server, how), count in sorted(counts.items())
    ]
