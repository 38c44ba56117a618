"""Type check: every node gets its type; what can only fail is refused, with all that is known.

The checker refuses nothing that could have a value: dyn (whatever a schema does not say) fits
everything, and numbers compare over int, uint and double, as JSON does not tell them apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from engine.rules.cel import inference
from engine.rules.cel import types as t
from engine.rules.cel.numbers import Uint
from engine.rules.cel.refusals import a, advice, refuse, unknown_name
from engine.rules.cel.syntax import (
    Bind,
    Call,
    Choice,
    Ident,
    Index,
    ListOf,
    Literal,
    Logic,
    Loop,
    MapOf,
    Node,
    Select,
    changed,
)
from engine.rules.cel.types import BOOL, DYN, ListType, MapType, Type

MAX_INSTRUCTIONS: Final = 20_000
"""What all literal patterns of an expression compile to; RE2 takes some 25 ms for it."""
TYPE_NAMES: Final = frozenset(
    {"int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"}
)
_WELL_KNOWN: Final = frozenset({"Timestamp", "Duration"})
_KEYS: Final = frozenset({t.INT, t.UINT, t.BOOL, t.STRING, DYN})
_OF_LITERAL: Final[Mapping[type, Type]] = {
    Uint: t.UINT,
    bool: BOOL,
    int: t.INT,
    float: t.DOUBLE,
    str: t.STRING,
    bytes: t.BYTES,
    type(None): t.NULL,
}


def check(node: Node, schema: Mapping[str, Type] | None) -> Node:
    """Return `node` with the type of every part.

    Args:
        node: what the parser made.
        schema: the variables and their types; None leaves all names dynamic.

    Raises:
        CelError: the first part that has no value for any bindings.
    """
    return _Checker(schema).visit(node)


@dataclass
class _Checker:
    """The names in scope, while the tree is walked."""

    schema: Mapping[str, Type] | None
    scopes: list[tuple[str, int, Type]] = field(default_factory=list)
    locals: int = 0
    instructions: int = 0

    def visit(self, node: Node) -> Node:
        match node:
            case Literal():
                return changed(node, type=_OF_LITERAL[type(node.value)])
            case Ident():
                return self._ident(node)
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case _:
                return self._structure(node)

    def _structure(self, node: Node) -> Node:
        match node:
            case Logic():
                return self._logic(node)
            case Choice():
                return self._choice(node)
            case Index():
                return self._index(node)
            case Loop():
                return self._loop(node)
            case _:
                return self._rare(node)

    def _rare(self, node: Node) -> Node:
        match node:
            case ListOf():
                return self._list(node)
            case MapOf():
                return self._map(node)
            case Bind():
                return self._bind(node)
            case _:
                raise AssertionError(f"the parser makes no {type(node).__name__}")

    # -- names

    def _ident(self, node: Ident) -> Node:
        for name, local, of in reversed(() if node.root else self.scopes):
            if name == node.name:
                return changed(node, local=local, type=of)
        if self.schema is not None and node.name in self.schema:
            return changed(node, type=self.schema[node.name])
        if node.name in TYPE_NAMES:
            return inference.type_name(node, node.name)
        if self.schema is None:
            return node
        known = [*self.schema, *(name for name, _, _ in self.scopes)]
        return unknown_name(node, known)

    def _select(self, node: Select) -> Node:
        if not node.test and self._is_well_known(node):
            return inference.type_name(node, f"google.protobuf.{node.field}")
        operand = self.visit(node.operand)
        found = inference.field(node, operand.type)
        return changed(node, operand=operand, type=BOOL if node.test else found)

    def _is_well_known(self, node: Select) -> bool:
        below = node.operand
        return (
            node.field in _WELL_KNOWN
            and isinstance(below, Select)
            and below.field == "protobuf"
            and isinstance(below.operand, Ident)
            and below.operand.name == "google"
            and "google" not in (self.schema or {})
        )

    def _index(self, node: Index) -> Node:
        operand, key = self.visit(node.operand), self.visit(node.key)
        found = inference.part(node, operand.type, key.type)
        return changed(node, operand=operand, key=key, type=found)

    # -- operators and functions

    def _logic(self, node: Logic) -> Node:
        parts = tuple(self._condition(part, node.sign) for part in node.parts)
        return changed(node, parts=parts, type=BOOL)

    def _condition(self, node: Node, where: str) -> Node:
        checked = self.visit(node)
        if not t.fits(checked.type, BOOL):
            refuse(node, f"{where} takes a bool, not {a(checked.type)}{advice(checked.type)}")
        return checked

    def _choice(self, node: Choice) -> Node:
        test = self._condition(node.test, "? :")
        yes, no = self.visit(node.yes), self.visit(node.no)
        return changed(node, test=test, yes=yes, no=no, type=t.join(yes.type, no.type))

    def _call(self, node: Call) -> Node:
        if node.function == "!_":
            return changed(node, args=(self._condition(node.args[0], "!"),), type=BOOL)
        inference.known(node)
        target = None if node.target is None else self.visit(node.target)
        args = tuple(self.visit(arg) for arg in node.args)
        checked = changed(node, target=target, args=args)
        values = args if target is None else (target, *args)
        if node.function in inference.RELATIONS:
            inference.relation(node, *values)
            return changed(checked, type=BOOL)
        self.instructions += inference.instructions(node)
        if self.instructions > MAX_INSTRUCTIONS:
            refuse(node, f"the patterns are too large; at most {MAX_INSTRUCTIONS} RE2 instructions")
        return inference.constant(changed(checked, type=inference.result(node, values)))

    # -- lists, maps and macros

    def _list(self, node: ListOf) -> Node:
        items = tuple(self.visit(item) for item in node.items)
        types = inference.contents(items, node.optional)
        return changed(node, items=items, type=ListType(inference.common(types)))

    def _map(self, node: MapOf) -> Node:
        entries = tuple((self.visit(key), self.visit(value)) for key, value in node.entries)
        for key, _ in entries:
            if key.type not in _KEYS:
                refuse(key, f"{a(key.type)} can not be the key of a map")
        keys = inference.common([key.type for key, _ in entries])
        values = inference.contents([value for _, value in entries], node.optional)
        return changed(node, entries=entries, type=MapType(keys, inference.common(values)))

    def _loop(self, node: Loop) -> Node:
        over = self.visit(node.over)
        types = inference.elements(node, over.type)
        outer = len(self.scopes)
        numbers = tuple(map(self._name, node.variables, types))
        where = None if node.where is None else self._condition(node.where, f"{node.macro}()")
        if node.macro in inference.PREDICATES:
            each = self._condition(node.each, f"{node.macro}()")
        else:
            each = self.visit(node.each)
        del self.scopes[outer:]
        found = inference.outcome(node, over.type, each.type)
        return changed(node, over=over, each=each, where=where, locals=numbers, type=found)

    def _bind(self, node: Bind) -> Node:
        value = self.visit(node.value)
        local = self._name(node.variable, value.type)
        body = self.visit(node.body)
        self.scopes.pop()
        return changed(node, value=value, body=body, local=local, type=body.type)

    def _name(self, name: str, of: Type) -> int:
        """Open the scope of a variable of a macro; return its number."""
        self.locals += 1
        self.scopes.append((name, self.locals, of))
        return self.locals
