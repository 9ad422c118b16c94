"""The published contracts: of the HTTP API (OpenAPI 3.1), and of sessions of voice over WebSocket (AsyncAPI 3.0)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_HTTP = "openapi.yaml"
_SCHEMAS = "#/components/schemas/"


def contracts(shared: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Each complete in itself: what sessions have in common with the HTTP API is written down there once."""
    http, socket = _read(shared / _HTTP), _read(shared / "asyncapi.yaml")
    whole = _within(socket)
    schemas = whole["components"]["schemas"]
    missing = _named_in(whole) - set(schemas)
    while missing:
        schemas |= {name: http["components"]["schemas"][name] for name in missing}
        missing = _named_in(schemas) - set(schemas)
    return http, whole


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    return document


def _within(node: Any) -> Any:
    """The same, whose references to the other document are to this one."""
    if isinstance(node, list):
        return [_within(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        name: value.removeprefix(_HTTP) if name == "$ref" and isinstance(value, str) else _within(value)
        for name, value in node.items()
    }


def _named_in(node: Any) -> set[str]:
    """Schemas that are referred to."""
    if isinstance(node, list):
        return set().union(*map(_named_in, node))
    if not isinstance(node, dict):
        return set()
    reference = node.get("$ref")
    if isinstance(reference, str):
        return {reference.removeprefix(_SCHEMAS)} if reference.startswith(_SCHEMAS) else set()
    return set().union(*map(_named_in, node.values()))
