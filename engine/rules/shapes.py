"""The shapes that fields of a rule file can have; a table of them is the whole grammar."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MAX_TEXT: Final = 4096


@dataclass(frozen=True)
class Text:
    """A text: of a pattern (`hint` says it in words), or one of `choices`.

    `noun` is what a choice is called, `advice` what to say to one that is near to none.
    """

    pattern: str = ""
    hint: str = ""
    choices: tuple[str, ...] = ()
    noun: str = "value"
    advice: str = ""


@dataclass(frozen=True)
class Expression:
    """A CEL expression."""


@dataclass(frozen=True)
class Flag:
    """True or false."""


@dataclass(frozen=True)
class Whole:
    """A whole number within bounds."""

    least: int
    most: int


@dataclass(frozen=True)
class Duration:
    """A Prometheus duration such as 90s or 1h30m; zero only where it means something."""

    zero: bool = True


@dataclass(frozen=True)
class Span:
    """A value or a range `first:last` with both ends in it, in numbers or in `names`.

    `names` stand for the numbers from `least` on; with `negative` numbers also count from the
    end, where -1 is the last one.
    """

    noun: str
    least: int
    most: int
    names: tuple[str, ...] = ()
    numbers: bool = True
    negative: bool = False


@dataclass(frozen=True)
class Anything:
    """Any value, without looking into it."""


@dataclass(frozen=True)
class Items:
    """A list of `least` to `most` items of one shape; `most` 0 is no limit."""

    of: "Shape"
    least: int = 0
    most: int = 0


@dataclass(frozen=True)
class Table:
    """A mapping with free keys, which match `key` (`hint` says it in words).

    `title` is what heads the messages about an entry, with its key.
    """

    of: "Shape"
    key: str = ""
    hint: str = ""
    title: str = ""


@dataclass(frozen=True)
class Either:
    """A text in the short form, a mapping in the long one."""

    short: "Shape"
    long: "Record"


@dataclass(frozen=True)
class Field:
    """One field of a record, with the sentence that editors show."""

    shape: "Shape"
    doc: str
    required: bool = False


@dataclass(frozen=True)
class Record:
    """A mapping of known fields.

    Attributes:
        name: what it is called in messages.
        fields: by name; `later` are fields of the language that this version refuses, each with
            what to do meanwhile.
        titled: its field `name` heads the messages about what is in it.
    """

    name: str
    fields: Mapping[str, Field]
    later: Mapping[str, str] = field(default_factory=dict)
    titled: bool = False


Shape = (
    Text | Expression | Flag | Whole | Duration | Span | Anything | Items | Table | Either | Record
)
