"""A server of git over HTTPS that wants a password: git's own, behind the HTTP of Python."""

import base64
import http.server
import os
import subprocess
import threading
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.testbeds.certificates import Authority

LOGIN = ("robot", "t0ken-canary")


class GitServer:
    """Serves the repositories below a folder; `asked` are the paths and the credentials given."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.asked: list[tuple[str, str]] = []
        self.moved = ""
        handler = type("Handler", (_Handler,), {"folder": folder, "server_": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        context = authority.server_context("git")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def url(self, name: str) -> str:
        return f"https://127.0.0.1:{self._server.server_address[1]}/{name}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    folder: Path
    server_: GitServer

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, body: bytes) -> None:
        given = self.headers.get("Authorization", "")
        self.server_.asked.append((self.path, given))
        if self.server_.moved:
            self._end(302, {"Location": f"{self.server_.moved}{self.path}"})
        elif given != f"Basic {base64.b64encode(':'.join(LOGIN).encode()).decode()}":
            self._end(401, {"WWW-Authenticate": 'Basic realm="git"'})
        else:
            self._run(body)

    def _run(self, body: bytes) -> None:
        at = urlsplit(self.path)
        ran = subprocess.run(
            ["git", "http-backend"],
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(self.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "PATH_INFO": at.path,
                "QUERY_STRING": at.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            },
            input=body,
            capture_output=True,
            check=True,
        )
        head, _, content = ran.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self._end(int(headers.pop("Status", "200").split()[0]), headers, content)

    def _end(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, text in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)
