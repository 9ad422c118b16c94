"""What a document says of a tool: its name, what it does and the schema of its arguments.

A type's schema is that of the arguments. An instance describes a function and has theirs in a member, in one of the
spellings that are about: `params`, MCP's `inputSchema`, OpenAI's `parameters`.
"""

from __future__ import annotations

from msgspec import Struct

from gateway.gts.ids import SCHEME, GtsId, MalformedId, parse
from gateway.model.chat import Json

_ARGUMENTS = ("params", "inputSchema", "parameters")


class Unusable(ValueError):
    """The document is no tool. `pointer`: from the document to what is wrong."""

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(reason)
        self.pointer = pointer


class Definition(Struct, frozen=True):
    """`name`: as the consumer says it. `pointer`: from the document to `parameters`."""

    name: str
    description: str | None
    parameters: Json
    pointer: str


def registered_definition(schema_id: str, document: Json, *, is_type: bool) -> Definition:
    """Of the document that was registered under an id. Raises Unusable."""
    pointer, parameters = arguments(document, is_type=is_type)
    return Definition(schema_id, _description(document), parameters, pointer)


def inline_definition(given: Json) -> Definition:
    """Of a document as a request brings it, bare or as `{"json_schema": ...}`. Raises Unusable."""
    inner = given.get("json_schema")
    if isinstance(inner, dict) and len(given) == 1:
        document, at = inner, "/json_schema"
    else:
        document, at = given, ""
    try:
        name, is_type = _name(document)
        pointer, parameters = arguments(document, is_type=is_type)
    except Unusable as error:
        raise Unusable(at + error.pointer, str(error)) from None
    return Definition(name, _description(document), parameters, at + pointer)


def arguments(document: Json, *, is_type: bool) -> tuple[str, Json]:
    """The pointer to the schema of the arguments, and the schema. Raises Unusable."""
    if is_type:
        return "", document
    for member in _ARGUMENTS:
        if member in document:
            held = document[member]
            if held is None:
                return f"/{member}", {}  # a function without arguments
            if isinstance(held, dict):
                return f"/{member}", held
            raise Unusable(f"/{member}", "not a schema")
    raise Unusable("", f"describes no function: it has none of {', '.join(_ARGUMENTS)}")


def _name(document: Json) -> tuple[str, bool]:
    """The name, and whether it is a type's."""
    if "$id" in document:
        given = document["$id"]
        if not isinstance(given, str) or not given.startswith(SCHEME):
            raise Unusable("/$id", f"an $id is {SCHEME}<GTS id>")
        return given, _parsed(given.removeprefix(SCHEME), "/$id").is_type
    if isinstance(given := document.get("id"), str) and given.startswith("gts."):
        return given, _parsed(given, "/id").is_type
    title = document.get("title")
    if not isinstance(title, str) or not title:
        raise Unusable("", "a schema without $id needs a title: the tool is called so")
    is_function = not {"$schema", "properties"} & set(document) and any(member in document for member in _ARGUMENTS)
    return title, not is_function


def _parsed(text: str, pointer: str) -> GtsId:
    try:
        return parse(text)
    except MalformedId as error:
        raise Unusable(pointer, str(error)) from None


def _description(document: Json) -> str | None:
    said = document.get("description") or document.get("title")
    return said if isinstance(said, str) else None
