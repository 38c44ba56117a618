"""Small builders of Python syntax trees. Source: the abstract grammar in the docs of `ast`."""

import ast
from typing import Any, Final

_PLACED: Final = (ast.expr, ast.stmt, ast.excepthandler, ast.arg)


def name(identifier: str) -> ast.expr:
    """Read a variable."""
    return ast.Name(id=identifier, ctx=ast.Load())


def const(value: Any) -> ast.expr:
    """Write a constant that Python itself can write."""
    return ast.Constant(value=value)


def call(function: str, *args: ast.expr) -> ast.expr:
    """Call a function by name."""
    return ast.Call(func=name(function), args=list(args), keywords=[])


def keep(identifier: str, value: ast.expr) -> ast.expr:
    """Evaluate `value` and keep it in a variable."""
    return ast.NamedExpr(target=ast.Name(id=identifier, ctx=ast.Store()), value=value)


def spread(values: ast.expr) -> ast.expr:
    """Put the elements of `values` among others."""
    return ast.Starred(value=values, ctx=ast.Load())


def attribute(of: str, field: str) -> ast.expr:
    """Read `of.field` of a variable."""
    return ast.Attribute(value=name(of), attr=field, ctx=ast.Load())


def item(of: ast.expr, key: str) -> ast.expr:
    """Read `of[key]`."""
    return ast.Subscript(value=of, slice=const(key), ctx=ast.Load())


def compare(left: ast.expr, sign: ast.cmpop, right: ast.expr) -> ast.expr:
    """Compare two values."""
    return ast.Compare(left=left, ops=[sign], comparators=[right])


def is_(left: ast.expr, right: ast.expr) -> ast.expr:
    """Test identity."""
    return compare(left, ast.Is(), right)


def is_not(left: ast.expr, right: ast.expr) -> ast.expr:
    """Test that two values are not the same."""
    return compare(left, ast.IsNot(), right)


def both(*parts: ast.expr) -> ast.expr:
    """Join by `and`."""
    return ast.BoolOp(op=ast.And(), values=list(parts))


def either(*parts: ast.expr) -> ast.expr:
    """Join by `or`."""
    return ast.BoolOp(op=ast.Or(), values=list(parts))


def choose(test: ast.expr, yes: ast.expr, no: ast.expr) -> ast.expr:
    """Choose one of two values."""
    return ast.IfExp(test=test, body=yes, orelse=no)


def not_(value: ast.expr) -> ast.expr:
    """Negate a bool."""
    return ast.UnaryOp(op=ast.Not(), operand=value)


def assign(identifier: str, value: ast.expr) -> ast.stmt:
    """Set a variable."""
    return ast.Assign(targets=[ast.Name(id=identifier, ctx=ast.Store())], value=value)


def when(test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt] | None = None) -> ast.stmt:
    """Run statements under a condition."""
    return ast.If(test=test, body=body or [ast.Pass()], orelse=orelse or [])


def attempt(body: list[ast.stmt], failures: str, caught: str, handler: list[ast.stmt]) -> ast.stmt:
    """Run `body`; on one of the `failures` run `handler`."""
    catch = ast.ExceptHandler(type=name(failures), name=caught, body=handler)
    return ast.Try(body=body, handlers=[catch], orelse=[], finalbody=[])


def walk(variables: list[str], over: ast.expr, body: list[ast.stmt]) -> ast.stmt:
    """Loop over values, or over tuples of them where there are several variables."""
    names: list[ast.expr] = [ast.Name(id=variable, ctx=ast.Store()) for variable in variables]
    target = names[0] if len(names) == 1 else ast.Tuple(elts=names, ctx=ast.Store())
    return ast.For(target=target, iter=over, body=body, orelse=[])


def do(action: ast.expr) -> ast.stmt:
    """Evaluate for the effect."""
    return ast.Expr(value=action)


def fail(error: ast.expr) -> ast.stmt:
    """Raise an error that hides what led to it."""
    return ast.Raise(exc=error, cause=const(None))


def function(identifier: str, params: list[str], body: list[ast.stmt]) -> ast.stmt:
    """Define a function."""
    return ast.FunctionDef(name=identifier, args=_params(params), body=body, decorator_list=[])


def lambda_(params: list[str], value: ast.expr) -> ast.expr:
    """Write a function that gives one value."""
    return ast.Lambda(args=_params(params), body=value)


def _params(names: list[str]) -> ast.arguments:
    return ast.arguments(
        posonlyargs=[],
        args=[ast.arg(arg=name) for name in names],
        kwonlyargs=[],
        kw_defaults=[],
        defaults=[],
    )


def place(tree: ast.AST, line: int) -> None:
    """Give `line` to every part of `tree` that has no line yet."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, _PLACED):
            if "lineno" in node.__dict__:
                continue
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = 0
        for part in node.__dict__.values():
            if isinstance(part, ast.AST):
                waiting.append(part)
            elif type(part) is list:
                waiting.extend(part)


def true() -> ast.expr:
    """Write `True`."""
    return ast.Constant(value=True)


def false() -> ast.expr:
    """Write `False`."""
    return ast.Constant(value=False)
