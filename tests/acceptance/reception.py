"""A dogwatch whose receivers are those of docs/receivers.md, and what posts to it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import yaml

from tests.acceptance.lab import Lab, a_lab
from tests.readme import ROOT

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

PAGE = ROOT / "docs" / "receivers.md"
URL = "http://dogwatch:9095"
OUTSIDE = "https://dogwatch.example.com"
"""Where dogwatch is by the page, and where it is from outside."""
TOKENS = {"alerts.token": "tok-alerts", "audit.token": "tok-audit"}
USER = ("ci", "pw-events")
PATH = "path-console"
SECRETS = [*TOKENS.values(), USER[1], PATH]
RULES = """\
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: reception, owner: sre}
spec:
  defaults: {settle: 0s, cooldown: 0s, keep_firing_for: 1h}
  rules:
    - name: alerted
      on: [{type: alert}]
      when: signal.data.status == "firing"
      by: [cluster, subject]
    - name: alerted-twice
      on: [{type: alert}]
      when: signal.data.status == "firing"
      by: [cluster, subject]
      over: 1h
      measure: {n: {fn: count}}
      having: m.n >= 2
    - name: audited
      on: [{type: audit}]
      by: [cluster, subject]
"""


def blocks(language: str) -> list[str]:
    """Return the blocks of the page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def the_block(key: str) -> dict[str, Any]:
    """Return the only YAML block of the page that is a mapping with this key."""
    loaded = [yaml.safe_load(one) for one in blocks("yaml")]
    (found,) = [one for one in loaded if isinstance(one, dict) and key in one]
    return dict(found)


def secrets_in(folder: Path) -> Path:
    """Write the secrets of the page below `folder`; return the folder that they are in."""
    secrets = folder / "secrets"
    secrets.mkdir(parents=True)
    for name, text in TOKENS.items():
        (secrets / name).write_text(f"{text}\n")
    (secrets / "events.user").write_text(":".join(USER) + "\n")
    (secrets / "console.path").write_text(f"{PATH}\n")
    return secrets


@contextmanager
def a_reception(folder: Path) -> Iterator[Lab]:
    """Run dogwatch with the receivers of the page; those of other systems need no cluster."""
    secrets_in(folder)
    (receivers,) = [
        one["receivers"]
        for one in map(yaml.safe_load, blocks("yaml"))
        if isinstance(one, dict) and isinstance(one.get("receivers"), dict)
    ]
    with a_lab(folder, RULES, receivers=receivers) as lab:
        yield lab


@contextmanager
def tls_in_front(url: str, trust: ssl.SSLContext) -> Iterator[str]:
    """Give an https address, of which every byte goes to the http address `url`."""
    host, _, port = url.removeprefix("http://").partition(":")
    loop = asyncio.new_event_loop()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(OSError):
            await asyncio.gather(_copied(reader, back), _copied(there, writer))
        for one in (back, writer):
            one.close()

    serving = asyncio.start_server(forward, "127.0.0.1", 0, ssl=trust)
    server = loop.run_until_complete(serving)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_ended(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _ended(server: asyncio.Server) -> None:
    server.close()
    going = asyncio.all_tasks() - {asyncio.current_task()}
    for task in going:
        task.cancel()
    await asyncio.gather(*going, return_exceptions=True)


def post(lab: Lab, path: str, body: bytes, **given: Any) -> httpx.Response:
    """Post to a receiver."""
    return httpx.post(f"{lab.dogwatch.url}/v1/receive/{path}", content=body, timeout=20, **given)


def bearer(name: str) -> dict[str, str]:
    """Return the header with the token in the file `name`."""
    return {"authorization": f"Bearer {TOKENS[name]}"}
