"""The JSON schema of the whole configuration, with all that is registered: for editors."""

from typing import Any

from pydantic.json_schema import models_json_schema

from engine.app.config import AppConfig
from engine.app.discovery.settings import TYPES
from engine.app.option_text import intro, meanings, within
from engine.model.config import Config
from sinks.registry import kinds as sink_kinds
from watchers.receiving import kinds as receiver_kinds
from watchers.registry import kinds as watcher_kinds

_SHORT = {"EndpointConfig": {"type": "string"}}
"""Blocks that may be written as their one text."""


def schema() -> dict[str, Any]:
    """Return the JSON schema: every field with its type, default and meaning.

    Watchers have the options of their name; sinks, receivers and sources those of their `type`.
    """
    watchers = {name: kind.config for name, kind in watcher_kinds().items()}
    typed: dict[str, dict[str, type[Config]]] = {
        "SinkConfig": {name: kind.config for name, kind in sink_kinds().items()},
        "ReceiverConfig": {name: kind.config for name, kind in receiver_kinds().items()},
        "SourceConfig": dict(TYPES),
    }
    models: dict[type[Config], None] = dict.fromkeys((AppConfig, *watchers.values()))
    for kinds in typed.values():
        models |= dict.fromkeys(kinds.values())
    unique = list(models)
    places, whole = models_json_schema([(one, "validation") for one in unique])
    names = {one: places[one, "validation"]["$ref"].rpartition("/")[2] for one in unique}
    blocks = whole["$defs"]
    for model in _all(unique):
        _explain(blocks, model)
    switches = {name: _switch(names[config]) for name, config in watchers.items()}
    for block in blocks.values():
        if "watchers" in block.get("properties", {}):
            block["properties"]["watchers"] |= {
                "properties": switches,
                "additionalProperties": False,
            }
    for name, kinds in typed.items():
        forms = [_typed(blocks[names[config]], type_) for type_, config in kinds.items()]
        blocks[name] = {"description": blocks[name].get("description", ""), "anyOf": forms}
    for name, form in _SHORT.items():
        blocks[name] = {"anyOf": [form, blocks[name]]}
    return {**blocks.pop(names[AppConfig]), "$defs": blocks}


def _all(models: list[type[Config]]) -> list[type[Config]]:
    """Return `models` and the blocks within them, each once."""
    found, waiting = dict[type[Config], None](), list(models)
    while waiting:
        model = waiting.pop()
        if model not in found:
            found[model] = None
            waiting += [block for _, block in within(model)]
    return list(found)


def _explain(blocks: dict[str, Any], model: type[Config]) -> None:
    """Put the meaning of each option beside it."""
    told = meanings(model)
    for block in blocks.values():
        own = block.get("properties", {})
        if block.get("title") == model.__name__ and own.keys() == told.keys():
            if said := intro(model):
                block["description"] = said
            for name, text in told.items():
                own[name].setdefault("description", text)


def _switch(name: str) -> dict[str, Any]:
    return {"anyOf": [{"type": "boolean"}, {"$ref": f"#/$defs/{name}"}]}


def _typed(block: dict[str, Any], type_: str) -> dict[str, Any]:
    """Return the schema of a block of one type: its options and `type`."""
    return {
        **block,
        "title": type_,
        "properties": {"type": {"const": type_}, **block.get("properties", {})},
        "required": ["type", *block.get("required", [])],
    }
