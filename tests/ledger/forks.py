"""The process behind a nursery: it imports dogwatch once, and forks for each command.

Run as `python -m tests.ledger.forks NAME`, the name of an abstract socket. It ends, and all its
children with it, when the one connection to that socket is closed.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import random
import signal
import socket
import sys
from typing import Any, NoReturn

from engine.cli import main
from tests.failpoints.armed import arm_from

LOADED = (
    "engine.app.serve",
    "engine.missions.kinds.incident_response.run",
    "engine.stream.joins",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
)
"""What the verbs import late."""
_PR_SET_PDEATHSIG = 1


def serve(name: str) -> None:
    """Answer the questions of one connection until it is closed."""
    with socket.socket(socket.AF_UNIX) as listener:
        for module in LOADED:
            importlib.import_module(module)
        gc.collect()
        gc.freeze()
        listener.bind(f"\0{name}")
        listener.listen()
        connection, _ = listener.accept()
    with connection, connection.makefile("rw") as lines:
        for line in lines:
            print(json.dumps(_answer(json.loads(line))), file=lines, flush=True)


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    if "reap" in question:
        return {"status": os.waitpid(question["reap"], 0)[1]}
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _become(parent, **question)
    return {"pid": child}


def _become(parent: int, spawn: list[str], log: str, environment: dict[str, str]) -> NoReturn:
    """Be the `dogwatch` that was asked for, until its end."""
    code = 1
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the tie was made
            os._exit(code)
        written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for standard in (1, 2):
            os.dup2(written, standard)
        os.closerange(3, 64)  # the connection is the parent's
        os.environ.update(environment)
        random.seed()  # or all children draw the same numbers
        sys.argv = ["dogwatch", *spawn]
        arm_from(os.environ)
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
