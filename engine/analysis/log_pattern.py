"""What the last lines of a container's log say about why it ended.

Log text is data: lines are cut, cleaned and redacted, and matched against one table of
plain patterns (no nested repeats, so that no line can make matching slow).
"""

import re
from dataclasses import dataclass
from typing import Final

from engine.analysis.text import clean

TAIL = 200
_LINE = 500


@dataclass(frozen=True, slots=True)
class LogPattern:
    """A kind of message; `title` says what it means, `remedies` what helps."""

    word: str
    pattern: re.Pattern[str]
    title: str
    remedies: tuple[str, ...]
    confidence: float


@dataclass(frozen=True, slots=True)
class LogMatch:
    """The most telling line of a log; `line` is cleaned, `subject` what it names."""

    pattern: LogPattern
    line: str
    subject: str


def _pattern(
    word: str, regex: str, title: str, remedies: tuple[str, ...], confidence: float = 0.85
) -> LogPattern:
    return LogPattern(word, re.compile(regex), title, remedies, confidence)


_CONFIG = ("fix-config", "rollback")
_CODE = ("rollback", "fix-image")
_HOST = r"(?P<subject>[A-Za-z0-9][A-Za-z0-9.-]{0,200}(?::\d{1,5})?)"

# The most specific first: the first pattern with a matching line wins.
PATTERNS: Final = (
    _pattern(
        "wrong-architecture",
        r"(?i)exec format error",
        "the program is built for another CPU architecture",
        ("fix-image", "rollback"),
        0.95,
    ),
    _pattern(
        "rbac-forbidden",
        r"(?i)forbidden: user \"?(?P<subject>system:serviceaccount:[\w.:-]{1,200})",
        "its service account lacks a permission",
        ("fix-permission",),
        0.9,
    ),
    _pattern(
        "env-missing",
        r"(?:(?i:env(?:ironment)?[ _-]?var(?:iable)?s?:?) [\"'`]?(?P<subject>[A-Z][A-Z0-9_]{2,60})"
        r"|KeyError: [\"'](?P<key>[A-Z][A-Z0-9_]{2,60})"
        r"|(?P<name>[A-Z][A-Z0-9_]{2,60})[\"'`]? (?i:is (?:not set|required|missing|unset)"
        r"|must be set|not set|environment variable)"
        r"|(?i:missing|required)[ \w]{0,40}[: ][\"'`]?(?P<last>[A-Z][A-Z0-9]*_[A-Z0-9_]{1,60}))",
        "a setting that it needs is missing from its environment",
        _CONFIG,
        0.9,
    ),
    _pattern(
        "port-in-use",
        r"(?i)address already in use|EADDRINUSE|port \d+ (?:is )?already (?:in use|allocated)",
        "its port is taken by another process",
        ("fix-port", "restart"),
        0.9,
    ),
    _pattern(
        "disk-full",
        r"(?i)no space left on device|ENOSPC|disk quota exceeded|disk is full",
        "a disk that it writes to is full",
        ("free-disk", "fix-storage"),
        0.9,
    ),
    _pattern(
        "migration-failed",
        r"(?i)migrat\w* .{0,60}(?:fail|error|dirty|pending)|(?:fail|error)\w* .{0,60}migrat"
        r"|relation \S{1,80} does not exist|no such table|unknown column|dirty database version",
        "the database's schema does not fit the program",
        ("fix-job", "rollback"),
        0.85,
    ),
    _pattern(
        "auth-failed",
        r"(?i)password authentication failed|access denied for user|authentication failed"
        r"|invalid (?:username|credentials|password|api key)|401 unauthorized|NOAUTH|WRONGPASS",
        "a service that it needs refuses its credentials",
        _CONFIG,
        0.85,
    ),
    _pattern(
        "dns-failed",
        r"(?i)(?:lookup |ENOTFOUND |host(?: name)? \"?)" + _HOST + r".{0,80}"
        r"(?:no such host|server misbehaving|name or service not known|could not translate)"
        r"|ENOTFOUND "
        + _HOST.replace("subject", "host")
        + r"|no such host|name or service not known|temporary failure in name resolution"
        r"|could not translate host name \"(?P<name>[\w.-]{1,200})",
        "a host name that it needs does not resolve",
        _CONFIG,
        0.85,
    ),
    _pattern(
        "connection-refused",
        r"(?i)(?:dial tcp|ECONNREFUSED|connect(?:ing|ion)? to|server at|host|://)[ \"'(]*"
        + _HOST
        + r".{0,120}refused|ECONNREFUSED[ ]"
        + _HOST.replace("subject", "host")
        + r"|connection refused|ECONNREFUSED",
        "a service that it needs refuses connections",
        ("fix-config", "rollback"),
        0.8,
    ),
    _pattern(
        "tls-failed",
        r"(?i)x509: |certificate verify failed|certificate has expired|tls: (?:bad|failed|unknown)"
        r"|unable to get local issuer certificate|SSLHandshakeException",
        "a TLS certificate was refused",
        _CONFIG,
    ),
    _pattern(
        "out-of-memory-error",
        r"(?i)OutOfMemoryError|heap out of memory|runtime: out of memory|cannot allocate memory"
        r"|\bMemoryError\b",
        "the program ran out of memory by its own account",
        ("raise-memory", "rollback"),
    ),
    _pattern(
        "read-only-filesystem",
        r"(?i)read-only file ?system|EROFS",
        "it writes to a file system that is read-only",
        ("fix-config", "rollback"),
    ),
    _pattern(
        "permission-denied",
        r"(?i)permission denied|EACCES|operation not permitted|\bEPERM\b",
        "the system refuses it access to a file, port or call",
        ("fix-permission", "rollback"),
    ),
    _pattern(
        "missing-library",
        r"(?i)error while loading shared libraries|ModuleNotFoundError|No module named"
        r"|Cannot find module|ClassNotFoundException|NoClassDefFoundError|ImportError",
        "a library is missing from its image",
        _CODE,
        0.9,
    ),
    _pattern(
        "bad-arguments",
        r"(?i)unknown (?:flag|option|command|argument)|unrecognized (?:argument|option)"
        r"|flag provided but not defined|invalid option|unexpected argument",
        "its command line is not understood",
        _CONFIG,
        0.9,
    ),
    _pattern(
        "config-invalid",
        r"(?i)(?:config\w*|yaml|json|toml|properties)\b.{0,60}"
        r"(?:parse|unmarshal|syntax|invalid|malformed|unexpected|unable to load|failed to load)"
        r"|(?:parse|parsing|unmarshal|invalid|malformed|failed to (?:load|read)).{0,60}"
        r"(?:config|yaml|json|toml)",
        "its configuration can not be read",
        _CONFIG,
    ),
    _pattern(
        "file-missing",
        r"(?i)no such file or directory|FileNotFound|ENOENT",
        "a file that it needs does not exist",
        _CONFIG,
        0.75,
    ),
    _pattern(
        "timeout",
        r"(?i)i/o timeout|connection timed out|ETIMEDOUT|context deadline exceeded|read timeout",
        "a service that it needs does not answer in time",
        ("fix-config",),
        0.65,
    ),
    _pattern(
        "panic",
        r"panic: |Traceback \(most recent|(?i:segmentation fault|unhandled (?:exception|rejection)"
        r"|uncaught \w*exception|exception in thread|core dumped)|goroutine \d+ \[running\]",
        "the program fails with an unhandled error",
        _CODE,
        0.75,
    ),
    _pattern(
        "fatal-line",
        r"\b(?:FATAL|CRITICAL|ERROR|Error|error|fatal)\b",
        "the program reports an error and ends",
        _CODE,
        0.55,
    ),
)


def read_log(log: str) -> LogMatch | None:
    """Return what the end of a log says, None where it says nothing that we know."""
    lines = [line[:_LINE] for line in log[-TAIL * _LINE :].splitlines()[-TAIL:]]
    for pattern in PATTERNS:
        for line in reversed(lines):
            found = pattern.pattern.search(line)
            if found:
                return LogMatch(pattern, clean(line), _subject(found))
    return None


def last_line(log: str) -> str:
    """Return the last line that is not blank, cleaned."""
    for line in reversed(log[-TAIL * _LINE :].splitlines()):
        if line.strip():
            return clean(line[:_LINE])
    return ""


def _subject(found: re.Match[str]) -> str:
    named = [value for value in found.groupdict().values() if value]
    return clean(named[0], 100) if named else ""
