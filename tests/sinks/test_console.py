"""The console sink prints for people and appends for programs."""

import json
from io import StringIO
from pathlib import Path

import pytest

from engine.model.delivery import Delivery, Occasion
from engine.model.errors import Retryable
from tests.report.sample import a_delivery
from tests.sinks.outside import a_sink


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class FullDisk(StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


async def test_a_delivery_is_printed_without_colours_where_no_terminal_is() -> None:
    stream = StringIO()
    async with a_sink("console", {}, stream=stream) as channel:
        await channel.send(a_delivery(Occasion.RESULT), None)
    assert "LIKELY CAUSE" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


async def test_a_terminal_gets_colours() -> None:
    stream = Terminal()
    async with a_sink("console", {}, stream=stream) as channel:
        await channel.send(a_delivery(Occasion.RESULT), None)
    assert "\x1b[1;31mCRITICAL" in stream.getvalue()


async def test_a_file_gets_one_json_object_a_line(tmp_path: Path) -> None:
    file = tmp_path / "deliveries.jsonl"
    deliveries = [a_delivery(change) for change in Occasion]
    async with a_sink("console", {"file": str(file)}) as channel:
        for delivery in deliveries:
            await channel.send(delivery, None)
    rows = [Delivery.model_validate(json.loads(row)) for row in file.read_text().splitlines()]
    assert rows == deliveries


async def test_a_file_that_cannot_be_written_is_retryable(tmp_path: Path) -> None:
    async with a_sink("console", {"file": str(tmp_path / "no" / "such")}) as channel:
        with pytest.raises(Retryable, match="No such file"):
            await channel.send(a_delivery(), None)


async def test_a_full_disk_is_retryable() -> None:
    async with a_sink("console", {"file": "/dev/full"}) as channel:
        with pytest.raises(Retryable, match="No space"):
            await channel.send(a_delivery(), None)
    async with a_sink("console", {}, stream=FullDisk()) as channel:
        with pytest.raises(Retryable, match="No space"):
            await channel.send(a_delivery(), None)
