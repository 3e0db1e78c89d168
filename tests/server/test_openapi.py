"""The OpenAPI document says what the server does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from runlore.api.openapi import document
from runlore.api.operation import PREFIXES, operations

DOCUMENT = document()
SCHEMAS = DOCUMENT["components"]["schemas"]
ITEMS = [(path, method, item) for path, methods in DOCUMENT["paths"].items() for method, item in methods.items()]


def every(value: Any) -> Iterator[dict[str, Any]]:
    """Each object anywhere inside a value."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from every(item)
    elif isinstance(value, list):
        for item in value:
            yield from every(item)


def test_every_operation_is_described_once() -> None:
    described = {(path, method.upper()) for path, method, _ in ITEMS}
    for kind in operations():
        for method in (kind.route.method, *kind.route.also):
            assert (PREFIXES[kind.route.base][0] + kind.route.path, method) in described
    names = [item["operationId"] for _, _, item in ITEMS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("path", "method", "item"), ITEMS, ids=lambda value: value if isinstance(value, str) else "")
def test_each_has_what_a_reader_needs(path: str, method: str, item: dict[str, Any]) -> None:
    assert item["summary"]
    assert item["tags"]
    assert item["x-right"]["right"] in ("public", "signed", "view", "edit", "manage")
    assert set(item["responses"]) == {"200", "default"}
    in_path = [parameter["name"] for parameter in item.get("parameters", []) if parameter["in"] == "path"]
    assert [f"{{{name}}}" in path for name in in_path] == [True] * path.count("{")
    assert ("requestBody" in item) <= (method != "get")


def test_references_lead_somewhere() -> None:
    used = {node["$ref"].rpartition("/")[2] for node in every(DOCUMENT) if "$ref" in node}
    assert used <= set(SCHEMAS) | {"Error"}
    assert set(SCHEMAS) <= used


def test_fields_that_may_be_left_out_are_optional() -> None:
    metric = SCHEMAS["Metric"]
    assert metric["required"] == ["key", "value", "timestamp"]
    assert metric["properties"]["dataset_name"] == {"type": "string"}
    assert not any("default" in field for schema in SCHEMAS.values() for field in schema.get("properties", {}).values())


def test_what_json_can_not_say_is_part_of_the_type() -> None:
    assert SCHEMAS["Metric"]["properties"]["value"] == {"$ref": "#/components/schemas/Float"}
    assert SCHEMAS["SeriesFrame"]["properties"]["dx"]["type"] == "number"
    assert SCHEMAS["SeriesColumns"]["properties"]["mean"]["format"] == "binary"
    series = DOCUMENT["paths"]["/api/v1/series"]["post"]
    assert list(series["responses"]["200"]["content"]) == ["application/msgpack"]


def test_patterns_are_those_of_other_languages_too() -> None:
    patterns = [node["pattern"] for node in every(DOCUMENT) if isinstance(node.get("pattern"), str)]
    assert patterns
    assert not any("\\Z" in pattern for pattern in patterns)


def test_it_can_be_printed() -> None:
    done = subprocess.run([sys.executable, "-m", "runlore.api.openapi"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == DOCUMENT
