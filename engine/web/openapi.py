"""The OpenAPI document of the calls, made of the same table as their routes."""

import re
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from engine.model.config import Config
from engine.web.call import JSON, Call

_REF = "#/components/schemas/{model}"
_EVERY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.UNPROCESSABLE_ENTITY)
_BODY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}


@cache
def document(calls: tuple[Call, ...]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of `calls`."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {"Error": _ERROR}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "dogwatch", "version": version("dogwatch")},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(call: Call, schemas: dict[str, Any]) -> dict[str, Any]:
    answer = TypeAdapter(call.answer).json_schema(ref_template=_REF, mode="serialization")
    schemas.update(answer.pop("$defs", {}))
    described: dict[str, Any] = {
        "operationId": f"{call.method.lower()}{_camel(call.path)}",
        "summary": call.summary,
        "parameters": [*_in_path(call.path), *_in_query(call.query, schemas)],
        "responses": {
            str(int(call.status)): _content("What was asked for.", answer),
            **{
                str(int(status)): _content(status.phrase, {"$ref": _REF.format(model="Error")})
                for status in (
                    *_EVERY,
                    *(_BODY if call.body else ()),
                    *map(HTTPStatus, call.faults),
                )
            },
        },
    }
    if call.body is not None:
        content = {JSON: {"schema": _ref(call.body, schemas)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _content(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {JSON: {"schema": schema}}}


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _in_query(model: type[Config] | None, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema(ref_template=_REF)
    schemas.update(schema.pop("$defs", {}))
    return [
        {"name": name, "in": "query", "required": False, "schema": one}
        for name, one in schema["properties"].items()
    ]


def _ref(model: type[Config], schemas: dict[str, Any]) -> dict[str, Any]:
    _, found = models_json_schema([(model, "validation")], ref_template=_REF)
    schemas.update(found["$defs"])
    return {"$ref": _REF.format(model=model.__name__)}


def _camel(path: str) -> str:
    return "".join(part.title() for part in re.findall(r"\w+", path)[1:])
