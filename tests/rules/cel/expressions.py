"""Random CEL expressions and JSON-like bindings, mostly well typed, sometimes not."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

NAMES = ("a", "b", "c", "d")
KEYS = ("k", "n", "s", "if", "deep")
_TEXTS: tuple[str, ...] = (
    '"a"',
    '"b"',
    '""',
    '"abcab"',
    "'é😀x'",
    'r"\\d+"',
    '"Ab C "',
    '"1"',
    '"-7"',
    '"true"',
)
_TEXTS += ('"1.5"', '"2h"', '"2024-02-29T12:30:45.5Z"', '"a,b,c"', '"\\u00a0x\\t"', '"0x1F"')
_INTS = ("0", "1", "2", "3", "-1", "7", "0x10", "9223372036854775807", "-9223372036854775808")
_UINTS = ("0u", "1u", "2u", "7u", "18446744073709551615u")
_DOUBLES = ("0.0", "1.0", "1.5", "-2.5", "1e3", "1e300", ".5", "9223372036854775808.0", "3.0")
_BYTES = ('b"a"', 'b"\\xff"', "b'é'", 'b""', 'b"abc"')
_PATTERNS = ('"^a"', '"b+"', '"[a-c]{2}"', '"."', '"^$"', '"(a|b)c?"', '"\\\\d"')
_INSTANTS = (
    'timestamp("2024-02-29T12:30:45.5Z")',
    'timestamp("1969-12-31T23:59:59.001Z")',
    'timestamp("2023-12-31T23:30:00-02:00")',
    'timestamp("9999-12-31T23:59:59Z")',
    "timestamp(0)",
    "timestamp(1700000000)",
)
_SPANS = (
    'duration("1h")',
    'duration("-90m")',
    'duration("1.5s")',
    'duration("250ms")',
    'duration("-1h2m3s4ms")',
    'duration("0")',
)
_ZONES = ('"UTC"', '"Europe/Berlin"', '"-08:00"', '"05:30"', '"America/St_Johns"')
_PARTS: tuple[str, ...] = (
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
)
_PARTS += ("getHours", "getMinutes", "getSeconds", "getMilliseconds")
_TESTS = ("contains", "startsWith", "endsWith")
_CHANGES = ("lowerAscii", "upperAscii", "trim", "reverse")
TYPES = ("bool", "int", "uint", "double", "string", "bytes", "list", "map", "time", "span", "any")


class Expressions:
    """Writes expressions with the choices of one Random."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.scope: list[str] = []

    def any_of(self, options: Any) -> Any:
        return options[self.random.randrange(len(options))]

    def expression(self, kind: str = "any", depth: int = 3) -> str:
        """Return an expression that should be of `kind`, with brackets around its parts."""
        roll = self.random.random()
        if kind == "any" or roll < 0.04:
            kind = self.any_of(TYPES[:-1])
        if depth <= 0 or roll < 0.12:
            return str(self.leaf(kind))
        if roll < 0.2:
            return self.path()
        return str(getattr(self, f"{kind}_")(depth - 1))

    def leaf(self, kind: str) -> str:
        if self.random.random() < 0.3:
            return self.path()
        literals = {
            "bool": ("true", "false"),
            "int": _INTS,
            "uint": _UINTS,
            "double": _DOUBLES,
            "string": _TEXTS,
            "bytes": _BYTES,
            "list": ("[]", "[1, 2]", '["a", "b"]', "[1.0, 1u, 1]", "[true]", "[null]"),
            "map": ("{}", '{"k": 1}', "{1: 2}", '{"k": {"n": 1}}', "{2u: 1}", '{true: "a"}'),
            "time": _INSTANTS,
            "span": _SPANS,
        }
        return str(self.any_of(literals[kind]))

    def path(self) -> str:
        if self.scope and self.random.random() < 0.5:
            return str(self.any_of(self.scope))
        path = str(self.any_of(NAMES))
        for _ in range(self.random.randrange(4)):
            key = self.any_of(KEYS)
            path += self.any_of((f".{key}", f'["{key}"]', f".{key}", "[0]", f".{key}"))
        return path

    def pick(self, depth: int, *forms: Callable[[int], str]) -> str:
        return str(self.any_of(forms)(depth))

    def call(self, target: str, function: str, *args: str, depth: int) -> str:
        """Write a method call; an argument is the name of a type, or its text after a `=`."""
        texts = [arg[1:] if arg[0] == "=" else self.expression(arg, depth) for arg in args]
        return f"{self.bracketed(target, depth)}.{function}({', '.join(texts)})"

    def optional(self, *args: str) -> tuple[str, ...]:
        """Return `args` or, as often, none."""
        return args if self.random.random() < 0.5 else ()

    def bool_(self, depth: int) -> str:
        return self.pick(
            depth,
            lambda d: self.arithmetic("bool", ("&&", "||"), d),
            lambda d: self.arithmetic("bool", ("&&", "||"), d),
            self.relation,
            self.relation,
            lambda d: f"!{self.bracketed('bool', d)}",
            self.membership,
            lambda d: f"has({self.any_of(NAMES)}.{self.any_of(KEYS)}.{self.any_of(KEYS)})",
            lambda d: self.loop(self.any_of(("all", "exists", "exists_one")), d),
            lambda d: self.call("string", self.any_of(_TESTS), "string", depth=d),
            lambda d: self.call("string", "matches", f"={self.any_of(_PATTERNS)}", depth=d),
            lambda d: self.choice("bool", d),
        )

    def relation(self, depth: int) -> str:
        kind = self.any_of(TYPES)
        other = kind if self.random.random() < 0.6 else self.any_of(("int", "double", "any"))
        sign = self.any_of(("==", "!=", "<", "<=", ">", ">="))
        return f"({self.expression(kind, depth)} {sign} {self.expression(other, depth)})"

    def membership(self, depth: int) -> str:
        where = self.any_of(("list", "map"))
        return f"({self.expression('any', depth)} in {self.expression(where, depth)})"

    def bracketed(self, kind: str, depth: int) -> str:
        return f"({self.expression(kind, depth)})"

    def loop(self, macro: str, depth: int, kind: str = "bool") -> str:
        over = self.bracketed(self.any_of(("list", "list", "map", "any")), depth)
        if macro in {"map", "filter"}:  # the order in which a map gives its keys is open
            over = f"([] + {over})"
        variable = self.any_of(("x", "y", "a"))
        self.scope.append(variable)
        body = self.expression(kind, depth)
        if macro == "map" and self.random.random() < 0.4:
            body = f"{self.expression('bool', depth)}, {body}"
        self.scope.pop()
        return f"{over}.{macro}({variable}, {body})"

    def choice(self, kind: str, depth: int) -> str:
        x = self.expression
        return f"({x('bool', depth)} ? {x(kind, depth)} : {x(kind, depth)})"

    def arithmetic(self, kind: str, signs: Sequence[str], depth: int) -> str:
        x = self.expression
        return f"({x(kind, depth)} {self.any_of(signs)} {x(kind, depth)})"

    def int_(self, depth: int) -> str:
        return self.pick(
            depth,
            lambda d: self.arithmetic("int", "+-*/%", d),
            lambda d: self.arithmetic("int", "+-*/%", d),
            lambda d: f"-{self.bracketed('int', d)}",
            lambda d: self.function("size", ("string", "list", "map", "bytes", "any"), d),
            lambda d: self.function("int", ("double", "string", "uint", "time", "bool"), d),
            lambda d: self.call("string", "indexOf", "string", *self.optional("int"), depth=d),
            lambda d: self.call("string", "lastIndexOf", "string", *self.optional("int"), depth=d),
            self.part,
            self.part,
            lambda d: self.choice("int", d),
        )

    def function(self, name: str, kinds: Sequence[str], depth: int) -> str:
        return f"{name}({self.expression(self.any_of(kinds), depth)})"

    def part(self, depth: int) -> str:
        zone = self.optional(f"={self.any_of(_ZONES)}")
        of = self.any_of(("time", "time", "span"))
        return self.call(of, self.any_of(_PARTS), *zone, depth=depth)

    def uint_(self, depth: int) -> str:
        if self.random.random() < 0.6:
            return self.arithmetic("uint", "+-*/%", depth)
        kind = self.any_of(("int", "double", "string", "uint"))
        return f"uint({self.expression(kind, depth)})"

    def double_(self, depth: int) -> str:
        form = self.random.randrange(5)
        if form < 3:
            return self.arithmetic("double", "+-*/", depth)
        if form == 3:
            return f"-{self.bracketed('double', depth)}"
        kind = self.any_of(("int", "uint", "string", "double"))
        return f"double({self.expression(kind, depth)})"

    def string_(self, depth: int) -> str:
        return self.pick(
            depth,
            lambda d: self.arithmetic("string", "+", d),
            lambda d: self.function("string", TYPES, d),
            lambda d: self.function("string", ("double", "int", "time", "span", "bool"), d),
            lambda d: self.call("string", self.any_of(_CHANGES), depth=d),
            lambda d: self.call(
                "string", "replace", "string", "string", *self.optional("int"), depth=d
            ),
            lambda d: self.call("string", "substring", "int", *self.optional("int"), depth=d),
            lambda d: self.call("string", "charAt", "int", depth=d),
            lambda d: self.call("list", "join", *self.optional("string"), depth=d),
            lambda d: self.choice("string", d),
        )

    def bytes_(self, depth: int) -> str:
        if self.random.random() < 0.5:
            return self.arithmetic("bytes", "+", depth)
        return f"bytes({self.expression('string', depth)})"

    def list_(self, depth: int) -> str:
        return self.pick(
            depth,
            self.items,
            self.items,
            lambda d: self.arithmetic("list", "+", d),
            lambda d: self.call("string", "split", "string", *self.optional("int"), depth=d),
            lambda d: self.loop("filter", d),
            lambda d: self.choice("list", d),
            lambda d: self.loop("map", d, self.any_of(TYPES)),
        )

    def items(self, depth: int) -> str:
        kind = self.any_of(TYPES)
        items = [self.expression(kind, depth) for _ in range(self.random.randrange(4))]
        return f"[{', '.join(items)}]"

    def map_(self, depth: int) -> str:
        kind = self.any_of(("string", "string", "int", "uint"))
        entries = [
            f"dyn({self.expression(kind, depth)}): {self.expression('any', depth)}"
            for _ in range(self.random.randrange(3))
        ]
        return f"{{{', '.join(entries)}}}"

    def time_(self, depth: int) -> str:
        x = self.expression
        if self.random.random() < 0.6:
            return f"({x('time', depth)} {self.any_of('+-')} {x('span', depth)})"
        return f"timestamp(dyn({x(self.any_of(('int', 'string', 'time')), depth)}))"

    def span_(self, depth: int) -> str:
        x = self.expression
        form = self.random.randrange(4)
        if form == 0:
            return f"({x('time', depth)} - {x('time', depth)})"
        if form < 3:
            return self.arithmetic("span", "+-", depth)
        return f"duration(dyn({x(self.any_of(('string', 'span')), depth)}))"


def value(random: Random, depth: int = 3) -> Any:
    """Return a JSON-like value."""
    form = random.randrange(10 if depth else 7)
    scalars = (True, 0, 1, 2**53 + 1, -5, 1.0, 2.5, None, "a", "abc", "", "é", "1", False, "2h")
    if form < 7:
        return scalars[random.randrange(len(scalars))]
    if form == 7:
        return [value(random, depth - 1) for _ in range(random.randrange(4))]
    return {key: value(random, depth - 1) for key in KEYS if random.random() < 0.6}


def bindings(random: Random) -> dict[str, Any]:
    """Return values for most of NAMES; a name may be missing."""
    return {name: value(random) for name in NAMES if random.random() < 0.9}
