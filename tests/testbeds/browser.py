"""A headless Chromium that a test looks through and clicks in, by the DevTools protocol."""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from websocket import WebSocket, create_connection

from tests.testbeds.process import Server, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")
WITHIN_S = 30.0
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


class BrowserError(Exception):
    """The browser refused a call."""


class Browser:
    """One page of a running browser."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._calls = 0
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Return what the browser answers to one call of the protocol."""
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": params}))
        while True:
            heard = json.loads(self._socket.recv())
            if heard.get("id") == self._calls:
                if "error" in heard:
                    raise BrowserError(f"{method}: {heard['error']}")
                return dict(heard["result"])

    def size(self, width: int, height: int = 800, *, dark: bool = False) -> None:
        """Look through a window of so many pixels, in light or dark colours."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        """Go to `url` and wait until it is loaded."""
        self.run("window.left = true")
        self.call("Page.navigate", url=url)
        self.loaded()

    def loaded(self) -> None:
        """Wait until another page than the one before is loaded."""
        self.until("document.readyState == 'complete' && !window.left")

    def until(self, script: str) -> None:
        """Wait until an expression is true in the page that is shown."""
        _found(lambda: self._holds(script) or None, script)

    def _holds(self, script: str) -> bool:
        try:
            return bool(self.run(script))
        except BrowserError:  # the page went away meanwhile
            return False

    def run(self, script: str) -> Any:
        """Return the JSON value of an expression in the page."""
        given = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in given:
            details = given["exceptionDetails"]
            raise AssertionError(details.get("exception", details).get("description", details))
        return given["result"].get("value")

    def click(self, selector: str) -> None:
        """Click in the middle of an element, as a mouse does, and wait for the next page."""
        x, y = self.run(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)});"
            "one.scrollIntoView({block: 'center'}); const at = one.getBoundingClientRect();"
            "window.left = true; return [at.x + at.width / 2, at.y + at.height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.loaded()

    def type(self, text: str) -> None:
        """Type `text` into what has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Press and let go of Tab or Enter."""
        code = {"Tab": 9, "Enter": 13}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text
            )

    def picture(self, path: Path) -> None:
        """Keep a picture of the whole page."""
        path.parent.mkdir(parents=True, exist_ok=True)
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        taken = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(taken["data"]))


@contextmanager
def start_browser(chromium: Path, folder: Path) -> Iterator[Browser]:
    """Start the browser with a profile of its own below `folder`; it ends with the context."""
    profile = folder / "profile"
    profile.mkdir(parents=True)
    server = Server(
        "chromium",
        [str(chromium), *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        folder / "chromium.log",
    )
    server.start()
    try:
        told = profile / "DevToolsActivePort"
        port = _found(lambda: _lines(told), "the port of the browser")[0]
        pages = _found(lambda: _pages(f"http://127.0.0.1:{port}/json"), "the first page")
        socket = create_connection(
            pages[0]["webSocketDebuggerUrl"], timeout=WITHIN_S, suppress_origin=True
        )
        try:
            yield Browser(socket)
        finally:
            socket.close()
    finally:
        server.stop()


def _lines(path: Path) -> list[str] | None:
    return (path.exists() and path.read_text().splitlines()) or None


def _pages(url: str) -> list[dict[str, Any]] | None:
    return [one for one in httpx.get(url).json() if one["type"] == "page"] or None


def _found(probe: Callable[[], T | None], what: str) -> T:
    found = eventually(probe, WITHIN_S)
    assert found is not None, f"{what} did not come within {WITHIN_S:g} s"
    return found
