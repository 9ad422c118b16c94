"""Step 2: from bytes to a valid chat call. Every refusal names the field."""

from __future__ import annotations

import re

import msgspec

from gateway.model.chat import ChatCall
from gateway.model.errors import CapabilityNotSupported, Detail, InvalidRequest, UnreadableBody, UnsupportedMediaType

_decoder = msgspec.json.Decoder(ChatCall)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*?)`")
_MISSING = re.compile(r"Object missing required field `(?P<name>.*?)`")
_CONVERSATION_ID = re.compile(r"[\x21-\x7e]{1,128}")
_PLACE = re.compile(r" - at `(?P<kind>key in )?\$(?P<path>[^`]*)`")


def read_chat_call(content_type: str, body: bytes) -> ChatCall:
    """Raises UnsupportedMediaType (415), UnreadableBody, InvalidRequest or CapabilityNotSupported (400)."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType(f"Send Content-Type: application/json, not '{media_type or 'none'}'.")
    try:
        call = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableBody(f"The request body is not valid JSON: {error}") from None
    except RecursionError:
        raise UnreadableBody("The request body is nested too deeply.") from None
    _check_together(call)
    _refuse_what_comes_later(call)
    return call


def _invalid(said: str) -> InvalidRequest:
    """msgspec says "<reason> - at `$.messages[0].role`": `param` messages[0].role, pointer /messages/0/role."""
    place = _PLACE.search(said)
    reason = said[: place.start()] if place else said
    path = place["path"] if place else ""
    if found := _UNKNOWN.match(reason) or _MISSING.match(reason):
        path = f"{path}.{found['name']}"
    param = path.removeprefix(".") or None
    reason = reason.replace("Object contains unknown field", "Unknown parameter")
    reason = reason.replace("Object missing required field", "Missing required parameter")
    pointer = re.sub(r"\.|\[", "/", path).replace("]", "")
    message = f"{reason}, at '{param}'." if param else f"{reason}."
    return InvalidRequest(message, param=param, details=(Detail(pointer, reason),))


def _check_together(call: ChatCall) -> None:
    """What one member's type cannot say."""
    if call.stream_options is not None and not call.stream:
        raise InvalidRequest("stream_options is only allowed with stream: true.", param="stream_options")
    limits = {call.max_tokens, call.max_completion_tokens} - {None}
    if len(limits) > 1:
        raise InvalidRequest(
            "max_tokens and max_completion_tokens mean the same and differ; send one.", param="max_tokens"
        )
    conversation_id = (call.metadata or {}).get("conversation_id")
    if conversation_id is not None and _CONVERSATION_ID.fullmatch(conversation_id) is None:
        raise InvalidRequest(
            "metadata.conversation_id has 1 to 128 visible ASCII characters.", param="metadata.conversation_id"
        )
    if call.top_logprobs is not None and not call.logprobs:
        raise InvalidRequest("top_logprobs needs logprobs: true.", param="top_logprobs")
    if call.tool_choice is not None and not call.tools:
        raise InvalidRequest("tool_choice needs tools.", param="tool_choice")


def _refuse_what_comes_later(call: ChatCall) -> None:
    """Members of the contract that this version cannot honour are refused, never dropped."""
    unsupported = {"fallback": call.fallback, "async": call.async_}
    for param, value in unsupported.items():
        if value:
            raise CapabilityNotSupported(f"'{param}' is not supported by this version of the gateway.", param=param)
