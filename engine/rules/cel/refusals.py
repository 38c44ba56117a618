"""How the checker says what can not be: one sentence, with what is allowed and the nearest name."""

from collections.abc import Iterable, Sequence
from typing import Final, NoReturn

from engine.rules.cel.errors import CelError
from engine.rules.cel.functions import FUNCTIONS, QUALIFIED
from engine.rules.cel.nodes import MACROS
from engine.rules.cel.overloads import Overload
from engine.rules.cel.syntax import Call, Ident, Node
from engine.rules.cel.types import NUMBERS, STRING, TIMESTAMP, OptionalType, Type, fits
from engine.rules.wording import guess, quoted, unknown

_METHODS: Final = frozenset({name for name, method in FUNCTIONS if method} | set(MACROS))
_GLOBALS: Final = frozenset(
    {name for name, method in FUNCTIONS if not method and name.isidentifier()} | {"has"}
)
_SPACES: Final = frozenset(name.split(".")[0] for name in QUALIFIED)
_ELSEWHERE: Final = {"True": "true", "False": "false", "None": "null", "nil": "null"}
_BIND: Final = "cel.bind() takes a name, its value, and the expression that uses the name"


def refuse(node: Node, message: str) -> NoReturn:
    """Raise a CelError at `node`."""
    raise CelError(node.line, node.column, message)


def called(of: Type) -> str:
    """Return what a message calls a type."""
    text = str(of)
    for wellknown in ("Timestamp", "Duration"):
        text = text.replace(f"google.protobuf.{wellknown}", wellknown.lower())
    return text


def a(of: Type) -> str:
    """Return what a message calls a type, with its article."""
    text = called(of)
    return f"{'an' if text[0] in 'aeio' else 'a'} {text}"


def advice(*types: Type) -> str:
    """Return what to do where these types do not go together, an empty text where it is open."""
    if any(isinstance(of, OptionalType) for of in types):
        return "; end an optional value with .orValue(x)"
    if len(set(types)) > 1 and set(types) <= NUMBERS:
        return "; convert one by int(x), uint(x) or double(x)"
    if STRING in types and set(types) & NUMBERS:
        return "; convert one by string(x), int(x) or double(x)"
    if set(types) == {TIMESTAMP, STRING}:
        return "; write duration('5m') or timestamp('...') for a text"
    return ""


def unknown_name(node: Ident, known: Iterable[str]) -> NoReturn:
    """Refuse a name that is no variable."""
    hint = f"; write {_ELSEWHERE[node.name]}" if node.name in _ELSEWHERE else ""
    refuse(node, unknown("name", node.name, known) + hint)


def unknown_function(node: Call) -> NoReturn:
    """Refuse a function or method that there is not, with the nearest that there is."""
    name, target = node.function, node.target
    if isinstance(target, Ident) and target.name in _SPACES:
        names = [full.split(".")[1] for full in QUALIFIED if full.startswith(f"{target.name}.")]
        refuse(node, unknown("function", name, names, of=target.name))
    if isinstance(target, Ident) and (target.name, name) == ("cel", "bind"):
        refuse(node, _BIND)
    if target is not None and name in MACROS:
        refuse(node, f"{name}() takes {' or '.join(map(str, MACROS[name]))} arguments")
    known, others = (_GLOBALS, _METHODS) if target is None else (_METHODS, _GLOBALS)
    if name in others:
        right = f"a method; write x.{name}()" if target is None else f"no method; write {name}(x)"
        refuse(node, f"{name}() is {right}")
    what = "function" if target is None else "method"
    refuse(node, f"unknown {what} {quoted(name)}{guess(name, known)}")


def no_overload(node: Call, types: Sequence[Type], overloads: Sequence[Overload]) -> NoReturn:
    """Refuse arguments that no overload takes; those for the first of them are named."""
    alike = [one for one in overloads if types and one.params and fits(types[0], one.params[0])]
    allowed = "; ".join(_signature(one.params) for one in alike or overloads)
    refuse(
        node,
        f"{node.function} does not take {_signature(types)}; it takes {allowed}{advice(*types)}",
    )


def _signature(types: Iterable[Type]) -> str:
    return f"({', '.join(map(called, types))})"
