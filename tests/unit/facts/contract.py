"""shared/openapi.yaml as validators of its parts."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema
import yaml
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.unit.facts.facts import SHARED

Validator = jsonschema.Draft202012Validator
DOCUMENT = "openapi:document"


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((SHARED / "openapi.yaml").read_bytes(), Loader=yaml.CSafeLoader)
    return loaded


def resolved(node: Any) -> Any:
    """The node itself, or what its `$ref` points to."""
    while isinstance(node, dict) and "$ref" in node:
        target = document()
        for name in node["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        node = target
    return node


def validator(schema: dict[str, Any]) -> Any:
    """Of a schema anywhere in the document: its references are to the document's root."""
    registry = Registry().with_resource(DOCUMENT, DRAFT202012.create_resource(document()))
    return Validator(_absolute(schema), registry=registry)


def _absolute(node: Any) -> Any:
    if isinstance(node, list):
        return [_absolute(item) for item in node]
    if isinstance(node, dict):
        return {key: DOCUMENT + item if key == "$ref" else _absolute(item) for key, item in node.items()}
    return node


def component(name: str) -> Any:
    return validator({"$ref": f"#/components/schemas/{name}"})


def problems(schema: Any, value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in schema.iter_errors(value)]
