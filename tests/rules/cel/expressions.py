"""Random CEL expressions and JSON-like bindings, mostly well typed, sometimes not."""

from random import Random
from typing import Any

NAMES = ("a", "b", "c", "d")
KEYS = ("k", "n", "s", "if", "deep")
_TEXTS = ('"a"', '"b"', '""', '"abcab"', "'é😀x'", 'r"\\d+"', '"Ab C "', '"1"', '"-7"', '"true"')
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
_PARTS = (
    "getFullYear getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear getHours getMinutes"
    " getSeconds getMilliseconds"
).split()
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
            return self.any_of(self.scope)
        path = self.any_of(NAMES)
        for _ in range(self.random.randrange(4)):
            key = self.any_of(KEYS)
            path += self.any_of((f".{key}", f'["{key}"]', f".{key}", "[0]", f".{key}"))
        return path

    def bool_(self, depth: int) -> str:
        x = self.expression
        form = self.random.randrange(12)
        if form < 3:
            sign = self.any_of(("&&", "||"))
            return f"({x('bool', depth)} {sign} {x('bool', depth)})"
        if form < 6:
            kind = self.any_of(TYPES)
            other = kind if self.random.random() < 0.6 else self.any_of(("int", "double", "any"))
            sign = self.any_of(("==", "!=", "<", "<=", ">", ">="))
            return f"({x(kind, depth)} {sign} {x(other, depth)})"
        if form == 6:
            return f"!{self.bracketed('bool', depth)}"
        if form == 7:
            return f"({x('any', depth)} in {x(self.any_of(('list', 'map')), depth)})"
        if form == 8:
            return f"has({self.any_of(NAMES)}.{self.any_of(KEYS)}.{self.any_of(KEYS)})"
        if form == 9:
            return self.loop(self.any_of(("all", "exists", "exists_one")), depth)
        if form == 10:
            method = self.any_of(("contains", "startsWith", "endsWith"))
            return f"{self.bracketed('string', depth)}.{method}({x('string', depth)})"
        if self.random.random() < 0.5:
            return f"{self.bracketed('string', depth)}.matches({self.any_of(_PATTERNS)})"
        return self.choice("bool", depth)

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

    def arithmetic(self, kind: str, signs: str, depth: int) -> str:
        x = self.expression
        return f"({x(kind, depth)} {self.any_of(signs)} {x(kind, depth)})"

    def int_(self, depth: int) -> str:
        x = self.expression
        form = self.random.randrange(10)
        if form < 3:
            return self.arithmetic("int", "+-*/%", depth)
        if form == 3:
            return f"-{self.bracketed('int', depth)}"
        if form == 4:
            return f"size({x(self.any_of(('string', 'list', 'map', 'bytes', 'any')), depth)})"
        if form == 5:
            kind = self.any_of(("double", "string", "uint", "time", "bool", "int"))
            return f"int({x(kind, depth)})"
        if form == 6:
            method = self.any_of(("indexOf", "lastIndexOf"))
            start = self.any_of(("", f", {x('int', depth)}"))
            return f"{self.bracketed('string', depth)}.{method}({x('string', depth)}{start})"
        if form < 9:
            zone = self.any_of(("", self.any_of(_ZONES)))
            of = self.any_of(("time", "time", "span"))
            return f"{self.bracketed(of, depth)}.{self.any_of(_PARTS)}({zone})"
        return self.choice("int", depth)

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
        x = self.expression
        text = self.bracketed("string", depth)
        form = self.random.randrange(10)
        if form == 0:
            return self.arithmetic("string", "+", depth)
        if form == 1:
            return f"string({x(self.any_of(TYPES), depth)})"
        if form == 2:
            return f"{text}.{self.any_of(('lowerAscii', 'upperAscii', 'trim', 'reverse'))}()"
        if form == 3:
            count = self.any_of(("", f", {x('int', depth)}"))
            return f"{text}.replace({x('string', depth)}, {x('string', depth)}{count})"
        if form == 4:
            end = self.any_of(("", f", {x('int', depth)}"))
            return f"{text}.substring({x('int', depth)}{end})"
        if form == 5:
            return f"{text}.charAt({x('int', depth)})"
        if form == 6:
            separator = self.any_of(("", x("string", depth)))
            return f"{self.bracketed('list', depth)}.join({separator})"
        if form == 7:
            return self.choice("string", depth)
        return f"string({x(self.any_of(('double', 'int', 'time', 'span', 'bool')), depth)})"

    def bytes_(self, depth: int) -> str:
        if self.random.random() < 0.5:
            return self.arithmetic("bytes", "+", depth)
        return f"bytes({self.expression('string', depth)})"

    def list_(self, depth: int) -> str:
        x = self.expression
        form = self.random.randrange(8)
        if form < 2:
            kind = self.any_of(TYPES)
            items = [x(kind, depth) for _ in range(self.random.randrange(4))]
            return f"[{', '.join(items)}]"
        if form == 2:
            return self.arithmetic("list", "+", depth)
        if form == 3:
            limit = self.any_of(("", f", {x('int', depth)}"))
            return f"{self.bracketed('string', depth)}.split({x('string', depth)}{limit})"
        if form == 4:
            return self.loop("filter", depth)
        if form == 5:
            return self.choice("list", depth)
        return self.loop("map", depth, self.any_of(TYPES))

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
