"""Random CEL expressions: mostly well typed, sometimes not; every template of `productions`."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from tests.rules.cel.productions import KINDS, LEAVES, PRODUCTIONS, WORDS
from tests.rules.cel.values import KEYS, NAMES, TYPED

_HOLE = re.compile(r"<(\+?)([a-z]+)>")
_VARIABLES = ("x", "y", "a")


class Expressions:
    """Writes expressions with the choices of one Random.

    Args:
        random: where the choices come from.
        names: the names of variables to use.
    """

    def __init__(self, random: Random, names: Sequence[str] = NAMES) -> None:
        self.random = random
        self.names = names
        self.scope: list[str] = []

    def expression(self, kind: str = "any", depth: int = 3) -> str:
        """Return an expression that should be of `kind`."""
        roll = self.random.random()
        if kind == "any" or roll < 0.04:
            kind = self.random.choice(KINDS)
        if depth <= 0 or roll < 0.12:
            return self.leaf(kind)
        if roll < 0.2:
            return self.path()
        with self.names_in_scope():
            return _HOLE.sub(
                lambda hole: self.fill(hole[1], hole[2], depth - 1),
                self.random.choice(PRODUCTIONS[kind]),
            )

    def fill(self, sign: str, word: str, depth: int) -> str:
        if sign:
            self.scope.append(
                self.random.choice([v for v in _VARIABLES if v not in self.scope[-1:]])
            )
            return self.scope[-1]
        if word in WORDS:
            return self.random.choice(WORDS[word])
        if word == "key":
            return self.random.choice(KEYS)
        return self.expression(word, depth) if word != "path" else self.path()

    @contextmanager
    def names_in_scope(self) -> Iterator[None]:
        """Forget the variables of a macro behind it."""
        before = len(self.scope)
        yield
        del self.scope[before:]

    def leaf(self, kind: str) -> str:
        return self.path() if self.random.random() < 0.3 else self.random.choice(LEAVES[kind])

    def path(self) -> str:
        if self.scope and self.random.random() < 0.5:
            return self.random.choice(self.scope)
        path = self.random.choice(self.names)
        if path in TYPED:
            return path
        for _ in range(self.random.randrange(4)):
            key = self.random.choice(KEYS)
            path += self.random.choice((f".{key}", f'["{key}"]', f".{key}", "[0]"))
        return path
