"""What each option means, in words: taken out of the docstring of its block.

A docstring says `name` of each option in the clause that tells of it, or lists all below
`Attributes:`. What a block does not say, its bases do.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args, get_origin

from engine.model.config import Config

_COMMON: Final[Mapping[str, str]] = {
    "ca_file": "authorities to trust beside those of this machine (PEM)",
    "exec_commands": "the credential plugins that may be run; none by default",
    "every_s": "seconds between two looks",
    "password_file": "holds the password of `username`",
    "timeout_s": "seconds that an answer may take",
    "token_file": "holds the bearer token, read at each use",
    "kubeconfig": "path of the kubeconfig; where a cluster names none, that of kubectl",
    "max_mib": "MiB that may be fetched at most",
    "name": "what it is called in signals, rules and policies",
    "type": "which kind it is",
    "url": "address that begins with http:// or https://",
    "username": "who dogwatch is there",
}
"""Options that mean the same everywhere, where a block does not say more."""
_MENTIONED: Final = re.compile(r"`(\w+)\b[^`]*`")
_CLAUSES: Final = re.compile(r"(?<=[^.]\.)\s+(?=[A-Z`])|(?<=;)\s+")
_ATTRIBUTE: Final = re.compile(r"^ {4}(\w+(?:, \w+)*): (.*)$")
_LIST: Final = "Attributes:"
_MARKS: Final = ((dict, ".NAME"), (tuple, "[]"), (list, "[]"))


def intro(model: type[Config]) -> str:
    """Return what the docstring of a block says before it comes to its options."""
    text = _written(model).partition(_LIST)[0]
    found = []
    for clause in _clauses(text):
        if _MENTIONED.search(clause):
            break
        found.append(clause)
    return _sentence(" ".join(found))


def meanings(model: type[Config]) -> dict[str, str]:
    """Return what each option of a block means, by its name as it is written in the file.

    One that nothing is said of is left out.
    """
    known: dict[str, str] = {}
    for base in reversed([one for one in model.__mro__ if issubclass(one, Config)]):
        known |= _told(base)
    found = {}
    for name, field in model.model_fields.items():
        text = field.description or known.get(name) or _COMMON.get(name) or _held(model, name)
        if text:
            found[field.alias or name] = _sentence(text)
    return found


def _held(model: type[Config], name: str) -> str:
    """Return what a file holds that is named after another option."""
    other = name.removesuffix("_file")
    return f"the file that holds `{other}`" if other != name and other in model.model_fields else ""


def within(model: type[Config]) -> Iterator[tuple[str, type[Config]]]:
    """Yield the blocks that are options of a block: name of the option and block.

    The name is that of the option with `[]` where it is a list and `.NAME` where names lead to it.
    """
    for name, field in model.model_fields.items():
        for mark, block in _blocks(field.annotation, ""):
            yield f"{field.alias or name}{mark}", block


def _blocks(annotation: Any, mark: str) -> Iterator[tuple[str, type[Config]]]:
    if isinstance(annotation, type) and issubclass(annotation, Config):
        yield mark, annotation
        return
    more = next((text for kind, text in _MARKS if get_origin(annotation) is kind), "")
    for one in get_args(annotation):
        yield from _blocks(one, mark + more)


def _written(model: type[Config]) -> str:
    return inspect.cleandoc(model.__dict__.get("__doc__") or "")


def _told(model: type[Config]) -> dict[str, str]:
    """Return what the docstring of `model` itself says of options, by name."""
    text, _, listed = _written(model).partition(_LIST)
    found: dict[str, list[str]] = {}
    last: list[str] = []
    for clause in _clauses(text):
        names = [one for one in _MENTIONED.findall(clause) if one in model.model_fields]
        last = names or last
        for name in last:
            if names or clause not in found[name]:
                found.setdefault(name, []).append(_without(clause, name))
    for listed_names, meaning in _attributes(listed):
        found |= {name: [meaning] for name in listed_names.split(", ")}
    return {name: " ".join(said) for name, said in found.items()}


def _clauses(text: str) -> list[str]:
    found: list[str] = []
    for part in text.split("\n\n"):
        whole = True
        for clause in _CLAUSES.split(" ".join(part.split())):
            if whole:
                found.append(clause)
            else:
                found[-1] = f"{found[-1]} {clause}"
            whole = found[-1].count("(") <= found[-1].count(")")
    return [one for one in found if one]


def _without(clause: str, name: str) -> str:
    """Return a clause without the name that it begins with."""
    for mark in (": ", " are ", " is "):
        if clause.startswith(f"`{name}`{mark}"):
            return clause[len(f"`{name}`{mark}") :]
    return clause


def _attributes(listed: str) -> Iterator[tuple[str, str]]:
    """Yield name, or names, and text of each entry of a list of attributes."""
    name, said = "", ""
    for line in listed.splitlines():
        if found := _ATTRIBUTE.match(line):
            if name:
                yield name, said
            name, said = found[1], found[2]
        elif name:
            said = f"{said} {line.strip()}".strip()
    if name:
        yield name, said


def _sentence(text: str) -> str:
    text = text.strip().rstrip(";,")
    return text if not text or text.endswith((".", "?", "!", ":")) else f"{text}."
