"""The OpenAPI 3.1 document, derived from the operations: nothing about an endpoint is written twice.

`python -m runlore.api.openapi` prints it; the dashboard's TypeScript types are generated from it. Fields that a reply may
leave out are not in `required` and carry no `default` keyword (generators take a default for a promise that the field is
there); the default is told in the description instead.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import msgspec

import runlore.api  # noqa: F401  # defines every operation
from runlore.api.artifacts import FILE_ROUTES, FileRoute
from runlore.api.events import EVENTS, Changes
from runlore.api.operation import PREFIXES, Base, Need, Operation, operations

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/{name}"
_FLOAT: Schema = {
    "title": "Float",
    "description": "A number; what JSON can not say is a word.",
    "anyOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}],
}
_ERROR: Schema = {
    "title": "Error",
    "description": "Why a request failed, and what to do about it.",
    "type": "object",
    "properties": {
        "error_code": {"type": "string", "description": "A code word such as RESOURCE_DOES_NOT_EXIST."},
        "message": {"type": "string"},
        "request_id": {"type": "string", "description": "Finds the failure in the server's log."},
    },
    "required": ["error_code", "message"],
}
_ERRORS: Schema = {"default": {"$ref": "#/components/responses/Error"}}
_BYTES: Schema = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}

_FILE: Schema = {"application/octet-stream": {"schema": _BYTES}}


def document() -> Schema:
    """The whole document as plain values."""
    kinds = list(operations())
    types = [*kinds, *(kind.reply_type() for kind in kinds if not kind.route.streamed)]
    _, raw = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    schemas = {name: _component(name, schema, json_numbers="Series" not in name) for name, schema in sorted(raw.items())}
    for kind in kinds:
        if _has_no_body(kind):
            schemas.pop(kind.__name__, None)
    paths: dict[str, Schema] = {}
    for kind in kinds:
        for method in (kind.route.method, *kind.route.also):
            paths.setdefault(path_of(kind), {})[method.lower()] = _operation(kind, method)
    for route in FILE_ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _file_operation(route)
    paths[EVENTS.path] = {"get": _events_operation()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Runlore", "version": version("runlore"), "description": _description()},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**schemas, "Error": _ERROR, "Float": _FLOAT},
            "responses": {
                "Error": {
                    "description": "The request failed; the body says why.",
                    "content": {"application/json": {"schema": {"$ref": _REFERENCE.format(name="Error")}}},
                }
            },
        },
        "tags": [{"name": name} for name in dict.fromkeys([*(_tag(kind) for kind in kinds), "artifacts"])],
    }


def path_of(kind: type[Operation[Any]]) -> str:
    """The first address of an operation."""
    return PREFIXES[kind.route.base][0] + kind.route.path


def _description() -> str:
    shown: tuple[tuple[Base, str], ...] = (("mlflow", "MLflow's tracking API"), ("mlflow-artifacts", "MLflow's artifact API"))
    lines = [f"{what} is also served under {', '.join(f'`{p}`' for p in PREFIXES[base][1:])}." for base, what in shown]
    return " ".join(["Times are Unix milliseconds.", *lines, "`x-right` says which right on which object a caller needs."])


def _has_no_body(kind: type[Operation[Any]]) -> bool:
    route = kind.route
    return {route.method, *route.also} == {"GET"} or _wire_names(kind) <= route.fields


def _wire_names(kind: type[Operation[Any]]) -> frozenset[str]:
    return frozenset(item.encode_name for item in msgspec.structs.fields(kind))


def _operation(kind: type[Operation[Any]], method: str) -> Schema:
    route, name = kind.route, kind.__name__
    first, _, rest = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")
    result: Schema = {
        "operationId": name if method == route.method else f"{name}By{method.title()}",
        "tags": [_tag(kind)],
        "summary": _one_line(first),
        "x-right": _right(route.needs),
    }
    if rest:
        result["description"] = _one_line(rest)
    in_query = method == "GET"
    parameters = list(_parameters(kind, in_query))
    if parameters:
        result["parameters"] = parameters
    if not in_query and not _wire_names(kind) <= route.fields:
        result["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": _REFERENCE.format(name=name)}}},
        }
    media = "application/msgpack" if route.packed else "application/json"
    reply = {media: {"schema": {"$ref": _REFERENCE.format(name=kind.reply_type().__name__)}}} if not route.streamed else _FILE
    result["responses"] = {"200": {"description": "Done.", "content": reply}, **_ERRORS}
    return result


def _file_operation(route: FileRoute) -> Schema:
    names = re.findall(r"\{(\w+)\}", route.path)
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    for group in route.query:
        also = f"Also spelled {', '.join(f'`{name}`' for name in group[1:])}." if group[1:] else None
        parameter = {"name": group[0], "in": "query", "required": len(group) == 1, "schema": {"type": "string"}}
        parameters.append(parameter | ({"description": also} if also else {}))
    result: Schema = {
        "operationId": route.name,
        "tags": ["artifacts"],
        "summary": route.summary,
        "x-right": _right(route.needs),
        "parameters": parameters,
    }
    content = {"application/octet-stream": {"schema": _BYTES}}
    if route.method == "PUT":
        result["requestBody"] = {"required": True, "content": content}
    done: Schema = {"description": "Done."} | ({"content": content} if route.method == "GET" else {})
    return result | {"responses": {"200": done, **_ERRORS}}


def _events_operation() -> Schema:
    content = {"text/event-stream": {"schema": {"$ref": _REFERENCE.format(name=Changes.__name__)}}}
    return {
        "operationId": EVENTS.name,
        "tags": ["events"],
        "summary": EVENTS.summary,
        "x-right": _right(EVENTS.needs),
        "parameters": [{"name": "cursor", "in": "query", "required": False, "schema": {"type": "string"}}],
        "responses": {"200": {"description": "A stream without an end.", "content": content}, **_ERRORS},
    }


def _parameters(kind: type[Operation[Any]], in_query: bool) -> Iterable[Schema]:
    for item in msgspec.structs.fields(kind):
        in_path = item.encode_name in kind.route.fields
        if not (in_path or in_query):
            continue
        (schema,), _ = msgspec.json.schema_components([item.type], ref_template=_REFERENCE)
        if item.default not in (msgspec.NODEFAULT, None, ""):
            schema = {**schema, "default": item.default}
        schema = _tidy(_without_null(schema), json_numbers=False)
        place = {"name": item.encode_name, "in": "path" if in_path else "query", "required": in_path or item.required}
        yield {**place, "schema": schema}


def _component(name: str, schema: Schema, *, json_numbers: bool) -> Schema:
    result: Schema = _tidy(schema, json_numbers=json_numbers)
    if "description" in result:
        result["description"] = _one_line(result["description"])
    properties = {key: _property(value) for key, value in result.get("properties", {}).items()}
    return {**result, "title": name, "properties": properties}


def _property(schema: Schema) -> Schema:
    rest = _without_null({key: value for key, value in schema.items() if key != "default"})
    default = schema.get("default")
    if default in (None, "", [], {}):
        return rest
    told = f"Default: {json.dumps(default)}."
    return {**rest, "description": f"{rest['description']}. {told}" if "description" in rest else told}


def _without_null(schema: Schema) -> Schema:
    """Unset fields are left out, never sent as null: `X | None` at the top of a field is an optional X."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    if not choices or len(choices) == len(schema["anyOf"]):
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**rest, **choices[0]} if len(choices) == 1 else {**rest, "anyOf": choices}


def _tidy(value: Any, *, json_numbers: bool) -> Any:
    """ECMAScript patterns, binary bytes, typed enums; numbers as `Float` where JSON carries them."""
    if isinstance(value, list):
        return [_tidy(item, json_numbers=json_numbers) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("contentEncoding") == "base64":
        return dict(_BYTES)
    if json_numbers and value == {"type": "number"}:
        return {"$ref": _REFERENCE.format(name="Float")}
    result = {key: _tidy(item, json_numbers=json_numbers) for key, item in value.items()}
    if isinstance(value.get("pattern"), str):
        result["pattern"] = value["pattern"].replace("\\Z", "$")
    if isinstance(value.get("enum"), list) and "type" not in value:
        result = {"type": "string", **result}
    return result


def _tag(kind: type[Operation[Any]]) -> str:
    return kind.__module__.rpartition(".")[2].replace("_", " ")


def _right(need: Need) -> Schema:
    return {"right": need.right, "kind": need.kind} | ({"field": need.field} if need.field else {})


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2, ensure_ascii=False) + "\n")
