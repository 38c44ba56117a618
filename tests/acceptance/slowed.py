"""`dogwatch` with a store that takes its time: `python -m tests.acceptance.slowed SECONDS run ...`.

Every transaction of the store waits so long before it is committed, as on a slow disk or a
database far away; the loop of the process is free meanwhile.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from engine import failpoint
from engine.cli import main
from engine.failpoint import Point
from tests.acceptance.dogwatch import Dogwatch
from tests.testbeds.process import Server

if TYPE_CHECKING:
    from pathlib import Path


class Slowed(Dogwatch):
    """A dogwatch whose store takes `seconds` for each transaction."""

    def __init__(
        self, folder: Path, settings: dict[str, Any], rules: str, *, seconds: float
    ) -> None:
        super().__init__(folder, settings, rules)
        command = [sys.executable, "-m", "tests.acceptance.slowed", str(seconds)]
        command += ["run", "--config", str(self.config)]
        self.process = Server("dogwatch", command, folder / "dogwatch.log")


def _arm(seconds: float) -> None:
    def hook(point: Point, when: str) -> None:
        if point is Point.COMMIT and when == "before":
            time.sleep(seconds)

    failpoint.arm(hook)


if __name__ == "__main__":
    _arm(float(sys.argv.pop(1)))
    main()
