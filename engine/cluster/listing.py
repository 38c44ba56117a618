"""Lists in pages, raw."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from engine.cluster.clean import clean
from engine.cluster.resources import Resource
from engine.cluster.server import Server
from engine.model.errors import ClusterError
from engine.model.snapshot import Object
from engine.model.watch import WHOLE, Part

PAGE = 500


@dataclass(frozen=True)
class Page:
    """Up to 500 cleaned objects of one list; `version` is the resourceVersion of the list."""

    objects: list[Object]
    version: str
    last: bool


async def pages(server: Server, resource: Resource, part: Part = WHOLE) -> AsyncGenerator[Page]:
    """Yield the pages of one consistent list.

    Raises:
        ClusterError: `expired` when the list grew too old between two pages: begin again;
            as Client.get.
    """
    params: dict[str, str | int] = {"limit": PAGE, **selectors(part)}
    while True:
        answer = await server.client.json(resource.path, params)
        try:
            metadata = answer["metadata"]
            items = answer.get("items") or []
            # A view may parse: in a thread, so that a page of 500 objects holds nothing up.
            if part.view is None:
                objects = _cleaned(items, resource, server.salt, part)
            else:
                objects = await asyncio.to_thread(_cleaned, items, resource, server.salt, part)
            following = metadata.get("continue") or ""
            version = metadata.get("resourceVersion", "")
        except (AttributeError, KeyError, TypeError) as error:
            raise ClusterError("malformed", f"{resource.path}: the answer is no list") from error
        yield Page(objects, version, last=not following)
        if not following:
            return
        params["continue"] = following


def _cleaned(items: list[Object], resource: Resource, salt: bytes, part: Part) -> list[Object]:
    return [kept(item, resource, salt, part) for item in items]


def selectors(part: Part) -> dict[str, str]:
    """Return the parameters that ask for `part` only."""
    asked = {"fieldSelector": part.fields, "labelSelector": part.labels}
    return {name: value for name, value in asked.items() if value}


def kept(item: Object, resource: Resource, salt: bytes, part: Part) -> Object:
    """Return what is kept of an object: cleaned, typed (items of a list are not), and its view."""
    typed = {"apiVersion": resource.api_version, "kind": resource.kind, **item}
    if part.view is None:
        return clean(typed, salt)
    return {**clean(typed, salt), **part.view(typed)}
