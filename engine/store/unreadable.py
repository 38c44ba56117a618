"""Rows that can not be read: damaged, or of another version. One of them stops no other one."""

from functools import lru_cache
from typing import Final

import structlog

LOG = structlog.get_logger()
UNREADABLE: Final = (ValueError, TypeError, OverflowError)
"""What reading a damaged value raises; faults of pydantic, JSON and enums are ValueErrors."""


@lru_cache(maxsize=1000)
def tell(noun: str, name: str, why: str) -> str:
    """Say once in the log that `name` can not be read; return the sentence for people."""
    LOG.error("row unreadable", of=noun, id=name, why=why)
    return f"what is stored of it can not be read: {why}"


def unread(noun: str, name: str, error: Exception) -> str:
    """Return why `name` can not be read, in one line without its contents; the log has it once."""
    return tell(noun, name, str(error).partition("\n")[0][:200])
