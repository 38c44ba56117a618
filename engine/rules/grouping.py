"""The group key of a rule: which paths, and whether its signals have them."""

from collections.abc import Mapping
from itertools import product
from typing import Final

from engine.rules.draft import Draft, entries, items
from engine.rules.rule import Selector
from engine.rules.shaping import Notes
from engine.rules.streams import has_path, shape_of
from engine.rules.wording import choices, guess, quoted, short
from engine.rules.yaml import Node

DEFAULT_BY: Final = ("cluster", "namespace", "kind", "workload")

Selectors = tuple[Selector, ...]


def group_key(
    rule: Draft, selectors: Selectors, *, second: bool
) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Return the paths of `by`, and the value of each that has a default.

    `selectors` are those whose signals are grouped by it. In the `second` stage there is no
    cluster to group by: the key is what was given.
    """
    if "by" not in rule.fields:
        if second:
            return (), {}
        if not rule.wrote("by"):
            _check_default(rule, selectors)
        return DEFAULT_BY, {}
    notes = rule.notes
    by: dict[str, Node] = {}
    defaults: dict[str, str] = {}
    for node in items(rule.fields.get("by")):
        long = entries(node)
        place = long.get("path", node)
        path = str(place.value)
        if path in by:
            notes.error(place, f"{quoted(path)} is in 'by' twice", "duplicate")
        by[path] = place
        if "default" in long:
            defaults[path] = str(long["default"].value)
        else:
            check_present(place, path, selectors, notes)
    if "cluster" not in by and "by" in rule.fields and not second:
        message = (
            "'by' lacks cluster: rules over signals run per cluster; add cluster, or look "
            "across clusters with a rule over type condition"
        )
        notes.error(rule.node.keys["by"], message, "by-cluster")
    return tuple(by), defaults


def _check_default(rule: Draft, selectors: Selectors) -> None:
    for path, selector in product(DEFAULT_BY, selectors):
        if selector.type and not has_path(selector, path):
            message = (
                f"without 'by' the group key is {', '.join(DEFAULT_BY)}, "
                f"but {selector.type} has no {path}; give 'by'"
            )
            rule.notes.error(rule.fields.get("on", rule.node), message, "group-key")


def check_present(place: Node, path: str, selectors: Selectors, notes: Notes) -> None:
    """Tell of each selector whose signals do not have `path`."""
    for selector in selectors:
        if selector.type and not has_path(selector, path):
            known = sorted(shape_of(selector).fields)
            near = guess(path.rpartition(".")[2], known)
            what = " ".join([selector.type, *map(short, selector.kinds)])
            has = choices(known) or "nothing"
            message = f"group key {quoted(path)} is not in {what}; its data has {has}{near}"
            notes.error(place, message, "group-key")
