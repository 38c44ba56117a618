"""What a function takes and gives, and the code that runs it: one line of a table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.rules.cel.types import DYN, Type, shape

Run = Callable[..., Any]
"""Takes the meter, then the arguments; the receiver of a method is the first of them."""
Key = tuple[str, bool]
"""Name of a function (an operator by its sign) and whether it is a method."""
Table = dict[Key, list["Overload"]]


@dataclass(frozen=True)
class Overload:
    """One signature and its code. `result` may depend on the types of the arguments."""

    params: tuple[Type, ...]
    result: Type | Callable[..., Type]
    run: Run

    def gives(self, *args: Type) -> Type:
        """Return the type of the result for arguments of these types."""
        return self.result(*args) if callable(self.result) else self.result

    def takes(self, kinds: tuple[Type, ...]) -> bool:
        """Tell whether values that have these types for certain are what it asks for."""
        return len(kinds) == len(self.params) and all(
            shape(param) in {kind, DYN} for param, kind in zip(self.params, kinds, strict=True)
        )

    @property
    def always(self) -> Type:
        """The type of every result, dyn when it depends on the arguments."""
        return DYN if callable(self.result) else self.result


def plain(run: Callable[..., Any]) -> Run:
    """Adapt code that costs the same for every argument."""
    return lambda _, *args: run(*args)
