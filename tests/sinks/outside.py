"""What the tests of the sinks share: a clock that stands, and ways to make sinks."""

from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from typing import TYPE_CHECKING, Any

from sinks.registry import Channel, make

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOW = datetime(2026, 11, 24, 12, 30, 15, tzinfo=UTC)
SECRET = "whsec_" + "c2VjcmV0LWtleS1vZi10aGUtdGVzdHMtMzItYnl0ZXM="
CANARY = "canary-4f1c9e77"


@dataclass(frozen=True)
class StandingClock:
    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@asynccontextmanager
async def a_sink(
    type_: str, options: Mapping[str, Any], at: datetime = NOW, stream: StringIO | None = None
) -> "AsyncIterator[Channel[Any]]":
    channel = make("team", type_, options, clock=StandingClock(at), stream=stream or StringIO())
    try:
        yield channel
    finally:
        await channel.aclose()


def webhook_options(base: str, **more: Any) -> dict[str, Any]:
    return {"url": f"{base}/hook", "secret": SECRET, "allow_loopback_http": True, **more}


def slack_options(url: str, **more: Any) -> dict[str, Any]:
    return {
        "token": "xoxb-test",
        "channel": "#alerts",
        "base_url": f"{url}/api",
        "allow_loopback_http": True,
        **more,
    }


def hook_options(url: str, **more: Any) -> dict[str, Any]:
    return {"webhook_url": f"{url}/services/T/B/{CANARY}", "allow_loopback_http": True, **more}
