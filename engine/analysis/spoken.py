"""Spoken credentials: those that commands take by a letter, or by a word that names none. Pure.

`redact` (engine.analysis.text) knows `--password=x` and what looks like a key; here is what only
the program tells: `redis-cli -a x`, `mysql -px`, `curl -u me:x`, and variables called PASS or AUTH.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from engine.analysis.text import REDACTED

_BY_LETTER: Final[Mapping[str, str]] = {
    "a": r"(?:redis|valkey|keydb)-(?:cli|benchmark)",
    "p": r"mongo(?:sh|dump|restore|export|import|stat|top)?|sshpass|cqlsh|cypher-shell|"
    r"rabbitmqadmin|(?:docker|podman|nerdctl|oc|helm registry|crane auth|skopeo|oras) login",
    "P": r"sqlcmd|bcp|mosquitto_(?:pub|sub|rr)|zip|unzip",
    "w": r"ldap(?:search|add|modify|delete|whoami|passwd)",
    "p(?=[^\\s=])": r"(?:mysql|mariadb)[\w-]*",
}
"""Letter of the option -> the programs that take a password by it; MySQL takes no space before."""
_PROGRAM: Final = "|".join(f"({programs})" for programs in _BY_LETTER.values())
_CALL: Final = re.compile(
    rf"(?<![\w.-])(?:{_PROGRAM})(?![\w.-])(?P<rest>(?:\\\n|[^|;&\n])*)"
)  # up to the end of the command
_DONE: Final = r"\[redacted(?: [0-9a-f]{1,16})?\]"
"""What was taken out before."""
_WORD: Final = rf"(?!{_DONE}|\$)(?:\"[^\"]*\"|'[^']*'|[^\s\"']+)"
_OPTIONS: Final = [re.compile(rf"(\s-{letter}\s*){_WORD}") for letter in _BY_LETTER]
_LETTERS: Final = [re.compile(rf"-{letter}") for letter in _BY_LETTER]
_LOGIN: Final = re.compile(
    r"((?:^|\s)(?:-u|--user|--creds|--proxy-user)(?:\s+|=|(?<=-u)))(['\"]?)"
    rf"([^\s:'\"=\[$]+):(?!//|{_DONE}|\$|\d{{1,5}}(?:\s|/|$))([^\s'\"]+)"
)
_LOGINS: Final = {"-u", "--user", "--creds", "--proxy-user"}
_GIVEN: Final = re.compile(
    r"(?i)((?:^|[\s;&?\"'_-])(?:pass|passphrase|requirepass|masterauth)=)"
    rf"(?!{_DONE}|\$|\d{{1,5}}(?:\s|$))(?:\"[^\"]*\"|'[^']*'|[^\s;&\"']+)"
)
_NAMED: Final = re.compile(
    r"(?i:(?:^|[\W_])(?:pass|auth|pw|passphrase|requirepass|masterauth|authorization)$)"
    r"|(?<=[a-z])(?:Pass|Auth|Passphrase)$"
)
_NO_SECRET: Final = re.compile(
    r"(?i)[./~$].*|[a-z][a-z0-9+.-]*://[^@]*|\d{1,5}|true|false|on|off|yes|no|none|enabled?|disabled?"
    r"|require[ds]?|request|optional|verify|any|all|anonymous|internal|external|local|native|default"
    r"|basic|bearer|digest|plain|login|ldaps?|oidc|oauth2?|saml2?|jwt|m?tls|ssl|kerberos|gssapi|sspi"
    r"|md5|scram(?:-sha-\d+)?|trust|peer|cert|certificate|github|gitlab|google|azure|aws|iam|okta"
)
"""What AUTH may be without giving anything away: how to log in, where, or whether."""
_LONE: Final = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[^\s/.:=,$\[-]{8,}")
"""What after `-p` is no port, path, name or list, whatever the program is."""


def named(name: str, text: str) -> bool:
    """Say whether `text` is a credential because of its name, such as DB_PASS or AUTH."""
    return bool(_NAMED.search(name) and text and not _NO_SECRET.fullmatch(text))


def in_line(line: str) -> str:
    """Return a shell's line, or a script, with the credentials in its commands taken out."""
    line = _LOGIN.sub(_logged_in, line)
    line = _GIVEN.sub(rf"\1{REDACTED}", line)
    return _CALL.sub(_called, line)


@lru_cache(maxsize=4096)
def in_words(words: tuple[str, ...], before: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return arguments with the credentials among them taken out.

    Args:
        words: the arguments.
        before: the command that they are given to, where that is known.
    """
    call = _CALL.match(" ".join([*before, *words][:3]).rpartition("/")[2])
    option = _LETTERS[_which(call)] if call else None
    told, last = [], ""
    for word in words:
        told.append(_word(word, last, option))
        last = word
    return tuple(told)


def _word(word: str, last: str, option: re.Pattern[str] | None) -> str:
    if word.startswith("$") or re.fullmatch(_DONE, word):
        return word
    if last in _LOGINS:
        return _LOGIN.sub(_logged_in, f"-u {word}")[3:]
    if (option and option.fullmatch(last)) or (last == "-p" and _LONE.fullmatch(word)):
        return REDACTED
    attached = option.match(word) if option else None
    return f"{attached.group()}{REDACTED}" if attached and word != attached.group() else word


def _which(call: re.Match[str]) -> int:
    return next(number for number, one in enumerate(call.groups()[: len(_BY_LETTER)]) if one)


def _called(call: re.Match[str]) -> str:
    rest = call["rest"]
    program = call.group()[: len(call.group()) - len(rest)]
    return program + _OPTIONS[_which(call)].sub(rf"\1{REDACTED}", rest)


def _logged_in(found: re.Match[str]) -> str:
    option, quote, user, secret = found.groups()
    if user.isdigit() or user == secret:  # a user and its group
        return found.group()
    return f"{option}{quote}{user}:{REDACTED}"
