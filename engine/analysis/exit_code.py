"""What an exit code says of how a process ended (POSIX shells, signals as 128 + n)."""

from dataclasses import dataclass
from typing import Final

_SIGNAL_BASE = 128
_SIGNALS: Final = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    15: "SIGTERM",
    31: "SIGSYS",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """A kind of ending: stable word, what it means as a clause, what helps, how sure."""

    word: str
    meaning: str
    remedies: tuple[str, ...]
    confidence: float


_KNOWN: Final = {
    0: Ending(
        "exits-with-0", "its main process ends by itself, without an error", ("fix-config",), 0.8
    ),
    1: Ending("app-error", "the program ends with an error of its own", ("rollback",), 0.5),
    2: Ending(
        "app-error", "the program ends with an error, often a wrong argument", ("rollback",), 0.5
    ),
    126: Ending(
        "command-not-executable",
        "its command was found but can not be executed",
        ("fix-config", "rollback"),
        0.9,
    ),
    127: Ending(
        "command-not-found",
        "its command does not exist in the image",
        ("fix-config", "rollback"),
        0.9,
    ),
    134: Ending("aborted", "the program aborted itself (SIGABRT)", ("rollback",), 0.7),
    137: Ending("killed", "it was killed from outside (SIGKILL)", ("raise-memory",), 0.5),
    139: Ending(
        "segfault",
        "the program crashed on an illegal access to memory (SIGSEGV)",
        ("rollback", "fix-image"),
        0.8,
    ),
    143: Ending(
        "terminated", "it was asked to end from outside (SIGTERM)", ("fix-probe", "rollback"), 0.5
    ),
}


def ending(code: int) -> Ending:
    """Return what exit code `code` says of an ending."""
    known = _KNOWN.get(code)
    if known is not None:
        return known
    signal = code - _SIGNAL_BASE
    if signal > 0:
        name = _SIGNALS.get(signal, f"signal {signal}")
        return Ending("killed-by-signal", f"a signal ended it ({name})", ("rollback",), 0.6)
    return Ending("app-error", "the program ends with an error of its own", ("rollback",), 0.5)
