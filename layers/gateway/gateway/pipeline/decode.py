"""From JSON to a structure, or to an error that names the field."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from gateway.model.errors import Detail, InvalidRequest, UnreadableBody, UnsupportedMediaType
from gateway.model.schema_parts import pointer

T = TypeVar("T")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*?)`")
_MISSING = re.compile(r"Object missing required field `(?P<name>.*?)`")
_PLACE = re.compile(r" - at `(?P<kind>key in )?\$(?P<path>[^`]*)`")


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
    """msgspec says "<reason> - at `$.messages[0].role`": `param` messages[0].role, pointer /messages/0/role."""
    place = _PLACE.search(said)
    reason = said[: place.start()] if place else said
    path = place["path"] if place else ""
    at = re.sub(r"\.|\[", "/", path).replace("]", "")
    if found := _UNKNOWN.match(reason) or _MISSING.match(reason):
        path, at = f"{path}.{found['name']}", at + pointer((found["name"],))
    param = path.removeprefix(".") or None
    reason = reason.replace("Object contains unknown field", "Unknown parameter")
    reason = reason.replace("Object missing required field", "Missing required parameter")
    message = f"{reason}, at '{param}'." if param else f"{reason}."
    return InvalidRequest(message, param=param, details=(Detail(at, reason),))
