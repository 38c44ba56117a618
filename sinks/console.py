"""Console: print deliveries for a person, or append them to a file as JSON lines."""

import asyncio
from contextlib import suppress
from errno import ENOSPC
from io import RawIOBase
from os import strerror
from pathlib import Path

from pydantic import Field

from engine.model.delivery import Delivery, Receipt
from engine.model.errors import Retryable
from engine.report import to_notice
from sinks.registry import Line, Thread, sink
from sinks.secret import SinkOptions


class ConsoleConfig(SinkOptions):
    """Where to print.

    Attributes:
        file: append one JSON object a line to this file instead of printing.
        width: cells of a printed line; colours only where a terminal listens.
    """

    file: str | None = None
    width: int = Field(default=100, ge=40, le=400)


@sink("console", config=ConsoleConfig)
async def print_delivery(
    line: Line[ConsoleConfig], delivery: Delivery, thread: Thread | None
) -> Receipt:
    """Print the delivery, or append it to a file whole or not at all.

    Raises:
        Retryable: the file or the stream cannot be written.
    """
    del thread
    options = line.options
    try:
        if options.file is not None:
            row = delivery.model_dump_json().encode() + b"\n"
            await asyncio.to_thread(_append, Path(options.file), row)
            return Receipt(detail=f"appended to {options.file}")
        text = to_notice(delivery, colour=line.stream.isatty(), width=options.width)
        line.stream.write(text + "\n")
        line.stream.flush()
    except OSError as error:
        where = options.file or "the stream"
        raise Retryable(f"{where}: {error.strerror or 'cannot be written'}") from None
    return Receipt(detail="printed")


def _append(path: Path, row: bytes) -> None:
    """Append `row`; a row that could not be written whole is taken back."""
    with path.open("ab", buffering=0) as file:
        end = file.tell()
        try:
            _write(file, row)
        except OSError:
            with suppress(OSError):  # a device cannot be cut; the first error is the one to tell
                file.truncate(end)
            raise


def _write(file: RawIOBase, row: bytes) -> None:
    if file.write(row) != len(row):
        raise OSError(ENOSPC, strerror(ENOSPC))
