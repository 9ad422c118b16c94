"""From JSON to a structure, or to an error that names the field."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from gateway.model.errors import Detail, InvalidRequest, UnreadableBody, UnsupportedMediaType
from gateway.model.schema_parts import pointer

T = TypeVar("T")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`")
_PLACE = re.compile(r" - at (`key` in )?`\$(?P<path>[^`]*)`\Z")
_NAMED_BY_CLIENT = "[...]"


def check_json_type(content_type: str) -> None:
    """Raises UnsupportedMediaType (415)."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType(f"Send Content-Type: application/json, not '{media_type or 'none'}'.")


def decoded(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Raises InvalidRequest, UnreadableBody (400)."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableBody(f"The request body is not valid JSON: {error}") from None
    except RecursionError:
        raise UnreadableBody("The request body is nested too deeply.") from None


def invalid(said: str) -> InvalidRequest:
    """msgspec says "<reason> - at `$.messages[0].role`": `param` messages[0].role, pointer /messages/0/role.

    It says `[...]` for the members of a map, which the client names: the pointer leads to the map.
    """
    place = _PLACE.search(said)
    reason = said[: place.start()] if place else said
    path = place["path"] if place else ""
    if found := _UNKNOWN.fullmatch(reason) or _MISSING.fullmatch(reason):
        param, at = f"{path}.{found['name']}", _pointer(path, found["name"])
    else:
        param, at = path, _pointer(path)
    param = param.removeprefix(".")
    reason = reason.replace("Object contains unknown field", "Unknown parameter")
    reason = reason.replace("Object missing required field", "Missing required parameter")
    message = f"{reason}, at '{param}'." if param else f"{reason}."
    return InvalidRequest(message, param=param or None, details=(Detail(at, reason),))


def _pointer(path: str, *name: str) -> str:
    known, of_client, _ = path.partition(_NAMED_BY_CLIENT)
    at = re.sub(r"\.|\[", "/", known).replace("]", "")
    return at if of_client else at + pointer(name)
