"""The token of the pages: where it cannot be read, nobody has it."""

from pathlib import Path

import pytest

from engine.app.config import AppConfig
from engine.app.probes import Probes
from engine.model.ports import SystemClock


async def _nothing() -> list[str]:
    return []


def the_token(path: Path) -> str | None:
    settings = AppConfig.model_validate({"http": {"token_file": str(path)}})
    ports = Probes(settings, _nothing, SystemClock()).ports(takes_signals=True)
    return ports.token()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00s3cret", b"\n", None])
def test_a_file_that_holds_no_token_closes_the_door(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    assert the_token(path) is None


def test_the_token_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("s3cret\n")
    assert the_token(path) == "s3cret"
