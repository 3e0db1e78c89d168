"""What a served model takes and gives, from its signature: an OpenAPI document for programs, one page for people."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from runlore.models.model import Model
from runlore.serving.inputs import CONTENT_TYPES, FORMATS, JSON
from runlore.types.datatypes import AnyType, Array, DataType, Map, Object
from runlore.types.schema import ColSpec, ParamSchema, Schema, TensorSpec
from runlore.version import __version__

Document = dict[str, Any]

_SCALARS: dict[DataType, Document] = {
    DataType.boolean: {"type": "boolean"},
    DataType.integer: {"type": "integer", "format": "int32"},
    DataType.long: {"type": "integer", "format": "int64"},
    DataType.float: {"type": "number", "format": "float"},
    DataType.double: {"type": "number", "format": "double"},
    DataType.string: {"type": "string"},
    DataType.binary: {"type": "string", "format": "byte"},
    DataType.datetime: {"type": "string", "format": "date-time"},
}


def document(model: Model, name: str) -> Document:
    """The OpenAPI document of a scoring server. `name` is what the model is served as."""
    schema, params = model.get_input_schema(), model.get_params_schema()
    error = {"$ref": "#/components/schemas/Error"}
    failures = {"400": "The request, or the model, can not do this.", "413": "The body is too long.",
                "415": "The content type is none that is read here.", "503": "Too many requests wait; see Retry-After.",
                "504": "No answer in time."}  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": model.model_id or model.model_uuid, "description": _about(model)},
        "paths": {
            "/invocations": {
                "post": {
                    "operationId": "invocations",
                    "summary": "Predict.",
                    "requestBody": {"required": True, "content": _contents(schema, params)},
                    "responses": {
                        "200": {
                            "description": "Predictions.",
                            "content": {JSON: {"schema": _answer(model.get_output_schema())}},
                        },
                        **{
                            code: {"description": text, "content": {JSON: {"schema": error}}} for code, text in failures.items()
                        },
                    },
                }
            },
            **{path: {"get": _page(text)} for path, text in _PAGES.items()},
        },
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error_code", "message"],
                    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
                }
            }
        },
    }


_PAGES = {
    "/ping": "Whether the model is loaded.",
    "/health": "The same.",
    "/version": "The version of MLflow whose protocol is spoken; Runlore's own is in a header.",
    "/metrics": "Numbers for Prometheus.",
}


def _page(text: str) -> Document:
    return {"summary": text, "responses": {"200": {"description": text}}}


def _about(model: Model) -> str:
    flavors = ", ".join(name for name in model.flavors if name != "python_function")
    return f"A model of {flavors or 'Python'}, served by Runlore {__version__} with MLflow's scoring protocol."


def _contents(schema: Schema | None, params: ParamSchema | None) -> Document:
    forms = {name: _form(name, schema) for name in FORMATS}
    further = {"params": _params(params)} if params else {}
    choices = [
        {"type": "object", "required": [name], "properties": {name: form, **further}} for name, form in forms.items() if form
    ]
    return {
        media: {"schema": {"oneOf": choices} if media == JSON else {"type": "string", "format": "binary"}}
        for media in CONTENT_TYPES
    }


def _form(name: str, schema: Schema | None) -> Document:
    """The JSON Schema of one format; empty where the signature leaves no room for it."""
    table = schema is None or not schema.is_tensor_spec()
    if name == "dataframe_split":
        columns: Document = {"type": "array", "items": {}}
        if schema is not None and table and schema.has_input_names():
            columns["examples"] = [schema.input_names()]
        data = {"type": "array", "items": {"type": "array"}}
        return {
            "type": "object",
            "required": ["data"],
            "properties": {"columns": columns, "data": data, "index": {"type": "array"}},
        }
    if schema is None:
        return {"type": "array", "items": {"type": "object"}} if name == "dataframe_records" else {}
    if name == "dataframe_records" or (table and schema.has_input_names()):
        return {"type": "array", "items": _row(schema)} if table else {}
    if table:
        return {"type": "array", "items": _kind(schema.inputs[0].type)}
    if not schema.has_input_names():
        return _tensor(schema.inputs[0])
    if name == "inputs":
        return {"type": "object", "required": schema.input_names(), "properties": {spec.name: _tensor(spec) for spec in schema}}
    return {"type": "array", "items": {"type": "object", "required": schema.input_names()}}


def _row(schema: Schema) -> Document:
    properties = {str(spec.name): _column(spec) for spec in schema if spec.name is not None}
    return {"type": "object", "required": schema.required_input_names() if properties else [], "properties": properties}


def _column(spec: ColSpec) -> Document:
    return {"anyOf": [_kind(spec.type), {"type": "null"}]}


def _kind(kind: Any) -> Document:
    if isinstance(kind, DataType):
        return dict(_SCALARS[kind])
    if isinstance(kind, Array):
        return {"type": "array", "items": _kind(kind.dtype)}
    if isinstance(kind, Map):
        return {"type": "object", "additionalProperties": _kind(kind.value_type)}
    if isinstance(kind, Object):
        return {"type": "object", "properties": {item.name: _kind(item.dtype) for item in kind.properties}}
    return {} if isinstance(kind, AnyType) else {"type": "array"}


def _tensor(spec: TensorSpec) -> Document:
    words = {"b": "boolean", "i": "integer", "u": "integer", "f": "number", "U": "string", "S": "string"}
    found: Document = {"type": words[spec.type.kind]} if spec.type.kind in words else {}
    for size in reversed(spec.shape):
        found = {"type": "array", "items": found}
        if size >= 0:
            found |= {"minItems": size, "maxItems": size}
    return found


def _params(params: ParamSchema) -> Document:
    properties = {}
    for spec in params:
        kind = _kind(spec.dtype)
        default = json.loads(json.dumps(spec.default, default=str))
        properties[spec.name] = {**({"type": "array", "items": kind} if spec.shape else kind), "default": default}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _answer(schema: Schema | None) -> Document:
    items = {} if schema is None or schema.is_tensor_spec() or not schema.has_input_names() else _row(schema)
    return {"type": "object", "required": ["predictions"], "properties": {"predictions": {"type": "array", "items": items}}}


# -- the page -------------------------------------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 50rem; padding: 1rem 1.5rem 4rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .92em; }
pre { padding: .8rem; border-radius: .4rem; overflow-x: auto; background: color-mix(in srgb, currentColor 6%, transparent); }
table { border-collapse: collapse; }
td, th { text-align: left; vertical-align: top; padding: .15rem 1.2rem .15rem 0; }
"""


def page(model: Model, name: str, example: str | None) -> str:
    """The page at `/docs`. `example` is a request body. Everything that comes from the model is escaped."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f'<title>{escape(name)}</title><link rel="stylesheet" href="docs.css"></head><body>',
        f'<h1>{escape(name)}</h1><p>{escape(_about(model))} For programs: <a href="openapi.json">OpenAPI document</a>.</p>',
        *(_table(title, specs) for title, specs in _tables(model)),
        "<h2>Ask it</h2>",
        f"<p><code>POST /invocations</code> with {escape(', '.join(CONTENT_TYPES))}. JSON holds exactly one of "
        f"{', '.join(f'<code>{name}</code>' for name in FORMATS)}, and may hold <code>params</code>.</p>",
    ]
    if example is not None:
        parts.append(f"<pre>curl localhost:PORT/invocations -H 'Content-Type: application/json' -d '{escape(example)}'</pre>")
    return "\n".join([*parts, "</body></html>"])


def _tables(model: Model) -> list[tuple[str, list[tuple[str, str, str]]]]:
    found = []
    for title, schema in (("Inputs", model.get_input_schema()), ("Predictions", model.get_output_schema())):
        if schema is not None:
            rows = [
                (str(spec.name if spec.name is not None else place), _words(spec), "" if spec.required else "may be left out")
                for place, spec in enumerate(schema)
            ]
            found.append((title, rows))
    if params := model.get_params_schema():
        found.append(("Params", [(spec.name, repr(spec.dtype), f"default {spec.default!r}") for spec in params]))
    return found or [("Inputs", [("any", "the model has no signature", "")])]


def _words(spec: Any) -> str:
    return f"{spec.type.name} array of shape {spec.shape}" if isinstance(spec, TensorSpec) else repr(spec.type)


def _table(title: str, rows: list[tuple[str, str, str]]) -> str:
    lines = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{escape(more)}</td></tr>"
        for name, kind, more in rows
    )
    return f"<h2>{title}</h2><table>{lines}</table>"
