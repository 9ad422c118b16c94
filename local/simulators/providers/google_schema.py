"""What Gemini refuses of a JSON Schema, of a tool or of a reply. Words that it does not know it ignores.

Sources: https://ai.google.dev/api/generate-content#FIELDS.response_json_schema,
https://github.com/anomalyco/opencode/issues/12295, https://github.com/google-gemini/gemini-cli/issues/13326
"""

from __future__ import annotations

from typing import Any

from local.simulators.wire import Refused

INSIDE = {"items": "one", "additionalProperties": "one", "anyOf": "list", "oneOf": "list", "prefixItems": "list"}


def check_schema(schema: Any, where: str) -> None:
    """Raises Refused."""
    if isinstance(schema, dict):
        _check(schema, schema.get("$defs") or {}, where, {})


def _check(part: Any, definitions: Any, where: str, way: dict[str, bool]) -> None:
    """`way`: the definitions that the part stands in, and whether an optional member lies between."""
    if not isinstance(part, dict):
        return
    if isinstance(ref := part.get("$ref"), str):
        _check_reference(part, ref, definitions, where, way)
        return
    for name, member in (part.get("properties") or {}).items():
        is_needed = name in (part.get("required") or ())
        _check(member, definitions, f"{where}.{name}", way if is_needed else dict.fromkeys(way, True))
    for word in INSIDE.keys() & part.keys():
        for number, inner in enumerate(part[word] if INSIDE[word] == "list" else [part[word]]):
            _check(inner, definitions, f"{where}.{word}.{number}", way)


def _check_reference(part: Any, ref: str, definitions: Any, where: str, way: dict[str, bool]) -> None:
    name = ref.removeprefix("#/$defs/")
    if others := [word for word in part if not word.startswith("$")]:
        message = f"{where}: Schema.ref '{name}' was set alongside unsupported fields: {', '.join(others)}"
        raise Refused("wrong_type", message, param=where)
    if name not in definitions:
        raise Refused("wrong_type", f"reference to undefined schema at {where}", param=where)
    if name not in way:
        _check(definitions[name], definitions, where, {**way, name: False})
    elif not way[name]:
        raise Refused("wrong_type", f"{where}: a required member leads back to '{name}'", param=where)
