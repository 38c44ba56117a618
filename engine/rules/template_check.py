"""What is wrong with a template, found before it is ever rendered."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jinja2 import TemplateError as JinjaError
from jinja2 import nodes

from engine.rules.shapes import MAX_TEXT
from engine.rules.template_language import ENVIRONMENT, FILTERS, TESTS, VARIABLES
from engine.rules.wording import choices, quoted, unknown

_MAX_DEPTH: Final = 40
_TOO_DEEP: Final = "template: nested too deep"
_ALLOWED: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.If,
    nodes.For,
    nodes.Name,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Neg,
    nodes.Pos,
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Concat,
    nodes.Filter,
    nodes.Test,
    nodes.Keyword,
)
_KEYWORDS: Final[Mapping[type[nodes.Node], str]] = {
    nodes.Assign: r"\bset\b",
    nodes.AssignBlock: r"\bset\b",
    nodes.Import: r"\bimport\b",
    nodes.FromImport: r"\bfrom\b",
    nodes.Include: r"\binclude\b",
    nodes.Extends: r"\bextends\b",
    nodes.Macro: r"\bmacro\b",
    nodes.Pow: r"\*\*",
    nodes.Call: r"(?<=\w)\(",
}
"""What a node looks like in a tag, to find its place; Jinja2 knows lines only."""
_TAG: Final = re.compile(r"\{[{%].*?[}%]\}", re.DOTALL)
_BEYOND: Final = "is not part of templates; they show values, with if, for and filters"


@dataclass(frozen=True)
class TemplateFault:
    """What is wrong in a template, at character `offset` of its text."""

    offset: int
    message: str
    code: str


def template_faults(
    text: str,
    known: Mapping[str, Any] | tuple[str, ...] = VARIABLES,
    members: Mapping[str, frozenset[str]] | None = None,
) -> tuple[TemplateFault, ...]:
    """Return everything that is wrong with the template `text`.

    Args:
        text: the template.
        known: names of its variables.
        members: variables whose attributes are known, for example m -> names of measures.
    """
    return _faults(text, tuple(known), tuple(sorted((members or {}).items())))


@lru_cache(maxsize=4096)
def _faults(
    text: str, known: tuple[str, ...], members: tuple[tuple[str, frozenset[str]], ...]
) -> tuple[TemplateFault, ...]:
    if len(text) > MAX_TEXT:
        message = f"template of {len(text)} characters; at most {MAX_TEXT}"
        return (TemplateFault(0, message, "size"),)
    try:
        tree = ENVIRONMENT.parse(text)
    except JinjaError as error:
        line = getattr(error, "lineno", None) or 1
        return (TemplateFault(_line(text, line), f"template: {error.message}", "template"),)
    except RecursionError:
        return (TemplateFault(0, _TOO_DEEP, "template"),)
    if _depth(tree) > _MAX_DEPTH:
        return (TemplateFault(0, _TOO_DEEP, "template"),)
    found = [*_foreign(tree, text), *_names(tree, text, known), *_members(tree, text, members)]
    return tuple(sorted(found, key=lambda fault: fault.offset))


def _depth(tree: nodes.Node) -> int:
    level, depth = [tree], 0
    while level:
        level = [child for node in level for child in node.iter_child_nodes()]
        depth += 1
    return depth


def _line(text: str, line: int) -> int:
    """Return the offset of the last tag that opens on `line`, else that of the line."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    start = starts[min(line, len(starts)) - 1]
    end = text.find("\n", start)
    tag = max(text.rfind(mark, start, end if end >= 0 else None) for mark in ("{{", "{%", "{#"))
    return max(tag, start)


def _where(text: str, line: int, pattern: str) -> int:
    """Return the offset of the first `pattern` inside a tag that ends on or after `line`."""
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    for tag in _TAG.finditer(text):
        hit = re.compile(pattern).search(text, max(start, tag.start()), tag.end())
        if hit and tag.end() > start:
            return hit.start()
    return _line(text, line)


def _name(word: str) -> str:
    return rf"(?<![\w.]){re.escape(word)}(?!\w)"


def _foreign(tree: nodes.Template, text: str) -> Iterator[TemplateFault]:
    for node in _all(tree):
        what, pattern = "", _KEYWORDS.get(type(node), r"\{[{%]")
        if not isinstance(node, _ALLOWED):
            what = f"'{type(node).__name__.lower()}' {_BEYOND}"
        elif isinstance(node, nodes.For) and any(node.find_all(nodes.For)):
            what = "a loop in a loop " + _BEYOND
        elif isinstance(node, nodes.Filter) and node.name not in FILTERS:
            what, pattern = unknown("filter", node.name, FILTERS), _name(node.name)
        elif isinstance(node, nodes.Test) and node.name not in TESTS:
            what, pattern = unknown("test", node.name, TESTS), _name(node.name)
        if what:
            offset = _where(text, node.lineno, pattern)
            yield TemplateFault(offset, f"template: {what}", "template")


def _all(tree: nodes.Node) -> Iterator[nodes.Node]:
    for child in tree.iter_child_nodes():
        yield child
        yield from _all(child)


def _names(tree: nodes.Template, text: str, known: tuple[str, ...]) -> Iterator[TemplateFault]:
    bound = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    told = {*known, *bound, "loop"} if bound else {*known}
    for name in tree.find_all(nodes.Name):
        if name.ctx == "load" and name.name not in told:
            told.add(name.name)
            offset = _where(text, name.lineno, _name(name.name))
            message = "template: " + unknown("variable", name.name, known)
            yield TemplateFault(offset, message, "template-variable")


def _members(
    tree: nodes.Template, text: str, members: tuple[tuple[str, frozenset[str]], ...]
) -> Iterator[TemplateFault]:
    table = dict(members)
    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        owner, attribute = node.node, _attribute(node)  # type: ignore[attr-defined]
        if not isinstance(owner, nodes.Name) or owner.name not in table or attribute is None:
            continue
        if attribute not in table[owner.name]:
            known = choices(table[owner.name]) or "none"
            shown = quoted(f"{owner.name}.{attribute}")
            message = f"template: unknown variable {shown}; known: {known}"
            word = re.escape(attribute)
            pattern = rf"(?<![\w.]){owner.name}\s*(\.\s*{word}(?!\w)|\[\s*['\"]{word})"
            offset = _where(text, node.lineno, pattern)
            yield TemplateFault(offset, message, "template-variable")


def _attribute(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Getattr):
        return node.attr
    arg = getattr(node, "arg", None)
    return arg.value if isinstance(arg, nodes.Const) and isinstance(arg.value, str) else None
