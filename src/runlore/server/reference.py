"""The API described for people: one page, made here from the OpenAPI document, that needs neither script nor network."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote

Document = dict[str, Any]

STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem 1.5rem 6rem; }
h2 { margin-top: 3rem; text-transform: capitalize; border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
details { margin: .3rem 0; padding: .3rem .6rem; border-radius: .4rem; }
details { background: color-mix(in srgb, currentColor 5%, transparent); }
summary { cursor: pointer; }
code, .method { font-family: ui-monospace, monospace; font-size: .92em; }
.method { display: inline-block; min-width: 4.2em; font-weight: 600; }
.about { opacity: .75; margin-left: .8em; }
table { border-collapse: collapse; margin: .5rem 0; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .15rem .8rem .15rem 0; }
nav a { margin-right: 1rem; text-transform: capitalize; }
"""


def page(document: Document) -> str:
    """The whole page. Everything from the document is escaped."""
    info, schemas = document["info"], document["components"]["schemas"]
    tags = [tag["name"] for tag in document["tags"]]
    links = "".join(f'<a href="#{quote(tag)}">{escape(tag)}</a>' for tag in [*tags, "types"])
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{escape(info['title'])} API</title>",
        '<link rel="stylesheet" href="docs.css"></head><body>',
        f"<h1>{escape(info['title'])} {escape(info['version'])}: the API</h1>",
        f"<p>{escape(info['description'])}</p>",
        '<p>The same for programs: <a href="/api/openapi.json">OpenAPI document</a>.</p>',
        f"<nav>{links}</nav>",
    ]
    for tag in tags:
        parts.append(f'<h2 id="{quote(tag)}">{escape(tag)}</h2>')
        for path, methods in document["paths"].items():
            parts += [_operation(method, path, item) for method, item in methods.items() if tag in item["tags"]]
    parts.append('<h2 id="types">types</h2>')
    parts += [_type(name, schema) for name, schema in schemas.items()]
    return "\n".join([*parts, "</body></html>"])


def _operation(method: str, path: str, item: Document) -> str:
    right = item["x-right"]
    needs = right["right"] + (f" on the {right['kind'].replace('_', ' ')}" if "field" in right else "")
    rows = [
        (parameter["name"], _kind(parameter["schema"]), parameter["required"], parameter.get("description", ""))
        for parameter in item.get("parameters", [])
    ]
    body = item.get("requestBody", {}).get("content", {})
    reply = item["responses"]["200"].get("content", {})
    return "".join(
        [
            f'<details id="{quote(item["operationId"])}"><summary><span class="method">{escape(method.upper())}</span>',
            f'<code>{escape(path)}</code><span class="about">{escape(item["summary"])}</span></summary>',
            f"<p>{escape(item['description'])}</p>" if "description" in item else "",
            f"<p>Needs: {escape(needs)}.</p>",
            _table(rows),
            *(f"<p>Body ({escape(media)}): {_kind(content['schema'])}</p>" for media, content in body.items()),
            *(f"<p>Reply ({escape(media)}): {_kind(content['schema'])}</p>" for media, content in reply.items()),
            "</details>",
        ]
    )


def _type(name: str, schema: Document) -> str:
    required = schema.get("required", [])
    rows = [
        (key, _kind(value), key in required, value.get("description", ""))
        for key, value in schema.get("properties", {}).items()
    ]
    about = escape(schema.get("description", ""))
    content = _table(rows) if rows else f"<p>{_kind(schema)}</p>"
    summary = f'<summary><code>{escape(name)}</code><span class="about">{about}</span></summary>'
    return f'<details id="type-{quote(name)}">{summary}{content}</details>'


def _table(rows: list[tuple[str, str, bool, str]]) -> str:
    """Rows of name, type (already HTML), whether it must be there, and words about it."""
    if not rows:
        return ""
    lines = (
        f"<tr><td><code>{escape(name)}</code></td><td>{kind}</td>"
        f"<td>{'required' if required else ''}</td><td>{escape(about)}</td></tr>"
        for name, kind, required, about in rows
    )
    return f"<table>{''.join(lines)}</table>"


def _kind(schema: Document) -> str:
    """A type in a few words, as HTML."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#type-{quote(name)}">{escape(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return escape(" | ".join(str(choice) for choice in schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if schema.get("items") else "list"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map to {_kind(schema['additionalProperties'])}"
    bounds = [
        f"{sign} {schema[key]:,}"
        for key, sign in (("minimum", "≥"), ("maximum", "≤"), ("maxLength", "at most"))
        if key in schema
    ]
    kind = "bytes" if schema.get("format") == "binary" else str(schema.get("type", "any"))
    return escape(", ".join([kind, *bounds]))
