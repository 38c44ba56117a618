"""Prometheus' rule files: read with the place of everything, every fault told at once.

Manifests of the operator (kind PrometheusRule) hold the same groups under `spec`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from promql_parser import Expr

from engine.model.errors import Fault, RuleError
from engine.model.instant import parse_duration
from engine.rules.prometheus.promql import parsed
from engine.rules.wording import choices, unknown
from engine.rules.yaml import Node, Source, read

_GROUP: Final = ("name", "interval", "query_offset", "limit", "labels", "rules")
_RULE: Final = ("alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations")
_YEAR: Final = "365d"


@dataclass(frozen=True)
class PrometheusRule:
    """One rule of a file: an alert, or a recording (`record`); durations in microseconds.

    `interval_us` is that of its group, 0 where none is given; `odd` names fields of the group
    that change what its alerts do.
    """

    name: str
    expr: Expr
    text: str
    path: str
    line: int
    group: str
    record: bool = False
    for_us: int = 0
    keep_firing_for_us: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    odd: tuple[str, ...] = ()


def read_rules(path: str, content: str | bytes) -> list[PrometheusRule]:
    """Return the rules of a Prometheus rule file, in its order.

    Raises:
        RuleError: it is no rule file, or an expression does not parse; holds every fault.
    """
    source = read(path, content)
    reader = _Reader(source)
    rules = list(reader.rules())
    if reader.faults:
        raise RuleError(sorted(set(reader.faults)))
    return rules


class _Reader:
    """Walks through one file; what is wrong goes to `faults`."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.faults = list(source.faults)

    def rules(self) -> Iterator[PrometheusRule]:
        documents = [one for one in self.source.documents if one.value is not None]
        if not documents and not self.faults:
            self._say(Node(None, 1, 1), "the file holds no groups of rules")
        for document in documents:
            inner = self._spec(document)
            whole = self._mapping(inner, "file", ("groups",))
            for group in self._list(whole.get("groups"), inner, "groups"):
                yield from self._group(group)

    def _spec(self, document: Node) -> Node:
        """Return where the groups are: the file itself, or the spec of a PrometheusRule."""
        fields = document.value if isinstance(document.value, dict) else {}
        kind = fields["kind"].value if "kind" in fields else None
        return fields["spec"] if kind == "PrometheusRule" and "spec" in fields else document

    def _group(self, node: Node) -> Iterator[PrometheusRule]:
        fields = self._mapping(node, "group", _GROUP)
        name = self._text(fields.get("name"), node, "name")
        odd = tuple(
            one for one in ("limit", "query_offset") if one in fields and not _zero(fields[one])
        )
        labels = self._texts(fields.get("labels"))
        for rule in self._list(fields.get("rules"), node, "rules"):
            if (found := self._rule(rule, name, labels, odd)) is not None:
                yield found

    def _rule(
        self, node: Node, group: str, labels: Mapping[str, str], odd: tuple[str, ...]
    ) -> PrometheusRule | None:
        fields = self._mapping(node, "rule", _RULE)
        kinds = [one for one in ("alert", "record") if one in fields]
        if len(kinds) != 1:
            self._say(node, "a rule has either 'alert' or 'record'")
            return None
        text = self._text(fields.get("expr"), node, "expr").strip()
        expr = self._expr(fields.get("expr"), text)
        if expr is None:
            return None
        return PrometheusRule(
            name=self._text(fields[kinds[0]], node, kinds[0]),
            expr=expr,
            text=text,
            path=self.source.path,
            line=fields["expr"].line,
            group=group,
            record=kinds[0] == "record",
            for_us=self._duration(fields.get("for")),
            keep_firing_for_us=self._duration(fields.get("keep_firing_for")),
            labels={**labels, **self._texts(fields.get("labels"))},
            annotations=self._texts(fields.get("annotations")),
            odd=odd,
        )

    def _expr(self, node: Node | None, text: str) -> Expr | None:
        if node is None or not text:
            return None
        try:
            return parsed(text)
        except ValueError as error:
            self._say(node, f"not PromQL: {error}")
            return None

    def _mapping(self, node: Node, what: str, known: tuple[str, ...]) -> Mapping[str, Node]:
        if not isinstance(node.value, dict):
            self._say(node, f"a {what} is a mapping with {choices(known)}")
            return {}
        for name, key in node.keys.items():
            if name not in known:
                self._say(key, unknown("field", name, known, of=f"the {what}"))
        return node.value

    def _list(self, node: Node | None, parent: Node, what: str) -> tuple[Node, ...]:
        if node is None or not isinstance(node.value, tuple):
            self._say(node or parent, f"'{what}' must be a list")
            return ()
        return node.value

    def _text(self, node: Node | None, parent: Node, what: str) -> str:
        if node is None or node.value is None or isinstance(node.value, tuple | dict):
            self._say(node or parent, f"'{what}' must be a text")
            return ""
        return str(node.value)

    def _texts(self, node: Node | None) -> dict[str, str]:
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self._say(node, "expected a mapping of names to texts")
            return {}
        return {name: self._text(one, node, name) for name, one in node.value.items()}

    def _duration(self, node: Node | None) -> int:
        if node is None:
            return 0
        text = str(node.value)
        number, unit = text[:-1], text[-1:]
        try:
            if unit == "y" and number.isdigit():
                return int(number) * parse_duration(_YEAR)
            return parse_duration(text)
        except ValueError as error:
            self._say(node, str(error))
            return 0

    def _say(self, node: Node, message: str) -> None:
        fault = Fault(self.source.path, node.line, node.column, message, code="prometheus")
        self.faults.append(fault)


def _zero(node: Node) -> bool:
    return str(node.value) in {"0", "0s", "0ms", "0m"}
