"""One field of a signal's data, as the tables of the signal schema hold it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Field:
    """A field: type word, one line of meaning, unit.

    Type words: string, int, double, bool, dyn (anything), `list(string)` and `map(string)`, a
    mapping from text to text. `planned`: no watcher fills it yet; rules may ask for it.
    """

    type: str
    text: str
    unit: str = ""
    planned: bool = False


Fields = Mapping[str, Field]


@dataclass(frozen=True)
class SignalShape:
    """What the signals of one type hold.

    Attributes:
        text: what one signal says.
        sender: who sends it.
        fields: what every signal of the type may have.
        identity: the fields that a level is known by; empty for an occurrence.
        kinds: further fields by the value of `kind`.
        open: more than is listed may come: kinds that are not in the table, for a type with
            kinds, else any field.
        planned: nobody sends it yet.
    """

    text: str
    sender: str
    fields: Fields
    identity: str = ""
    kinds: Mapping[str, Fields] = field(default_factory=dict)
    open: bool = False
    planned: bool = False
