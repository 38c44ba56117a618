"""The pages over our own ports, served on loopback for a browser."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from engine.app.web_server import Server
from engine.web.app import Ports, build
from tests.readme import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.applications import Starlette

    from engine.web.ports import People


def an_app(people: People | None) -> Starlette:
    """Return the application, with `people` and without anything else behind it."""

    async def nothing(*_: object) -> tuple[bytes, str]:
        return b"", "text/plain"

    async def refuse(reason: str, detail: str, raw: bytes) -> None:
        raise AssertionError

    async def reload() -> list[str]:
        return []

    return build(
        Ports(
            live=lambda: True,
            checks=list,
            metrics=nothing,
            accept=None,
            refuse=refuse,
            reload=reload,
            token=lambda: "s3cret",
        ),
        people,
    )


PICTURES = ROOT / "build" / "pictures"
"""Where pictures of pages are kept, to be looked at."""


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Give the address at which `app` is served within the context."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
