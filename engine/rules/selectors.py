"""The selectors of `on`: a prefilter that must be able to match something."""

from collections.abc import Iterable
from typing import Final

from engine.model.schema import SIGNALS, matching_kinds
from engine.model.signal import SECOND_STAGE
from engine.rules.draft import entries, items
from engine.rules.labels import parse_labels
from engine.rules.rule import Selector
from engine.rules.shaping import Notes
from engine.rules.streams import PREFILTERS, shape_of
from engine.rules.wording import choices, guess, quoted, unknown
from engine.rules.yaml import Node

_LISTS: Final = ("kinds", "reasons", "metrics", "clusters", "namespaces")


def selectors(node: Node | None, notes: Notes) -> tuple[Selector, ...]:
    """Return the selectors of an `on`; what can match nothing is told."""
    found = tuple(_selector(one, notes) for one in items(node))
    types = {one.type for one in found if one.type}
    if node is not None and types & SECOND_STAGE and types - SECOND_STAGE:
        second, first = choices(types & SECOND_STAGE), choices(types - SECOND_STAGE)
        message = f"'on' mixes signals of clusters ({first}) and of the second stage ({second})"
        notes.error(node, f"{message}; make two rules", "stages")
    return found


def second_stage(selectors: Iterable[Selector]) -> bool:
    """Tell whether the rule looks across clusters, at what the engine itself says."""
    return any(selector.type in SECOND_STAGE for selector in selectors)


def _selector(node: Node, notes: Notes) -> Selector:
    fields = entries(node)
    lists = {name: tuple(fields[name].plain()) for name in _LISTS if name in fields}
    exclude = {name: tuple(part.plain()) for name, part in entries(fields.get("exclude")).items()}
    labels = str(fields["labels"].value) if "labels" in fields else ""
    type_ = str(fields["type"].value) if "type" in fields else ""
    if type_ in SIGNALS and "kinds" in fields:
        lists["kinds"] = _kinds(type_, items(fields["kinds"]), notes)
    selector = Selector(type_, labels=labels, exclude=exclude, **lists)
    if labels:
        try:
            parse_labels(labels)
        except ValueError as error:
            notes.error(fields["labels"], str(error), "labels")
    shape = shape_of(selector)
    clusters = {"clusters": "cluster"} if type_ in SECOND_STAGE else {}
    for name, looked_at in {**PREFILTERS, **clusters}.items():
        if name in fields and not shape.open and looked_at not in shape.fields:
            message = f"'{name}' matches nothing: {type_} has no {looked_at}"
            notes.error(node.keys[name], message, "selector")
    return selector


def _kinds(type_: str, kinds: Iterable[Node], notes: Notes) -> tuple[str, ...]:
    """Return the kinds that signals of the type can have; the others are told.

    Any kind of object can be watched, so one that nobody watches by default is a fault only
    where it looks like one of those.
    """
    shape, found = SIGNALS[type_], []
    for node in kinds:
        kind = str(node.value)
        listed = not shape.kinds or bool(matching_kinds(kind, type_))
        if listed or shape.open:
            found.append(kind)
        else:
            notes.error(node, unknown("kind", kind, shape.kinds, of=type_), "selector")
        if not listed and shape.open and (near := guess(kind, shape.kinds)):
            message = f"kind {quoted(kind)} is not watched by default{near}"
            notes.warn(node, message, "unwatched-kind")
    return tuple(found)
