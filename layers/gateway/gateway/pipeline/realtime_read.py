"""From a client's message to an event of the session, or to an error that names what is wrong with it."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from gateway.model.errors import CapabilityNotSupported, InvalidRequest, PayloadTooLarge, UnreadableBody
from gateway.model.realtime import MAX_MESSAGE_BYTES, REFUSED_EVENTS, REFUSED_MEMBERS, ClientEvent
from gateway.pipeline.decode import decoded

T = TypeVar("T")
_EVENT: msgspec.json.Decoder[ClientEvent] = msgspec.json.Decoder(ClientEvent)
_REFUSED_TYPES = {
    "input_image": "Images are not taken in realtime sessions.",
    "mcp": "Tools that the provider itself would call are not offered in realtime sessions.",
    "transcription": "Sessions that only transcribe are not offered.",
}


def read_event(message: bytes) -> ClientEvent:
    """Raises PayloadTooLarge (413), UnreadableBody, InvalidRequest or CapabilityNotSupported (400)."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise PayloadTooLarge(f"A message of a realtime session has at most {MAX_MESSAGE_BYTES:,} bytes.")
    try:
        return in_our_words(message, _EVENT)
    except UnreadableBody as error:
        raise UnreadableBody(error.message.replace("request body", "message")) from None


def in_our_words(message: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """What has a session in it; what OpenAI has, and the gateway has not, is refused by its name.

    Raises UnreadableBody, InvalidRequest or CapabilityNotSupported (400).
    """
    try:
        return decoded(message, decoder)
    except UnreadableBody:
        raise
    except InvalidRequest as error:
        raise _refused(message) or error from None


def client_event_id(message: bytes) -> str | None:
    """Of a message that may not be an event: what an error about it names."""
    event = _object(message)
    said = event.get("event_id")
    return said if isinstance(said, str) and len(said) <= 512 else None


def _refused(message: bytes) -> CapabilityNotSupported | None:
    """The reason for what OpenAI has, or had, and the gateway has not."""
    event = _object(message)
    kind = event.get("type")
    if isinstance(kind, str) and (why := REFUSED_EVENTS.get(kind)):
        return CapabilityNotSupported(f"'{kind}' is not taken. {why}", param="type")
    for name in ("session", "response"):
        inner = event.get(name)
        for member, why in REFUSED_MEMBERS.items():
            if isinstance(inner, dict) and inner.get(member) is not None:
                return CapabilityNotSupported(f"'{member}' is not taken. {why}", param=f"{name}.{member}")
    return _refused_type(event, "")


def _refused_type(value: Any, path: str) -> CapabilityNotSupported | None:
    if isinstance(value, list):
        inner = ((f"{path}[{n}]", one) for n, one in enumerate(value))
    elif isinstance(value, dict):
        if isinstance(kind := value.get("type"), str) and (why := _REFUSED_TYPES.get(kind)):
            return CapabilityNotSupported(why, param=f"{path}.type".removeprefix("."))
        inner = ((f"{path}.{name}".removeprefix("."), one) for name, one in value.items() if name != "parameters")
    else:
        return None
    return next((found for at, one in inner if (found := _refused_type(one, at))), None)


def _object(message: bytes) -> dict[str, Any]:
    try:
        event = msgspec.json.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}
