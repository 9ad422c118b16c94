"""Step 2: from bytes to a valid call. Every refusal names the field."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from gateway.model.call import Call
from gateway.model.chat import ChatCall
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.pipeline.decode import check_json_type, decoded

C = TypeVar("C", bound=Call)

_CHAT = msgspec.json.Decoder(ChatCall)
_CONVERSATION_ID = re.compile(r"[\x21-\x7e]{1,128}")


def read_chat_call(content_type: str, body: bytes) -> ChatCall:
    """Raises as `read_json`."""
    call = read_json(_CHAT, content_type, body)
    _check_together(call)
    return call


def read_json(decoder: msgspec.json.Decoder[C], content_type: str, body: bytes) -> C:
    """A call, checked as far as it is the same for every capability.

    Raises UnsupportedMediaType (415), UnreadableBody, InvalidRequest or CapabilityNotSupported (400).
    """
    check_json_type(content_type)
    call = decoded(body, decoder)
    check_call(call)
    return call


def check_call(call: Call) -> None:
    """What every call has. Raises InvalidRequest, or CapabilityNotSupported for what is still to come (400)."""
    if call.conversation_id is not None and _CONVERSATION_ID.fullmatch(call.conversation_id) is None:
        raise InvalidRequest(
            "metadata.conversation_id has 1 to 128 visible ASCII characters.", param="metadata.conversation_id"
        )
    for param, value in {"fallback": call.fallback, "async": call.async_}.items():
        if value:
            raise CapabilityNotSupported(f"'{param}' is not supported by this version of the gateway.", param=param)


def _check_together(call: ChatCall) -> None:
    """What one member's type cannot say."""
    if call.stream_options is not None and not call.stream:
        raise InvalidRequest("stream_options is only allowed with stream: true.", param="stream_options")
    limits = {call.max_tokens, call.max_completion_tokens} - {None}
    if len(limits) > 1:
        raise InvalidRequest(
            "max_tokens and max_completion_tokens mean the same and differ; send one.", param="max_tokens"
        )
    if call.top_logprobs is not None and not call.logprobs:
        raise InvalidRequest("top_logprobs needs logprobs: true.", param="top_logprobs")
    if call.tool_choice is not None and not call.tools:
        raise InvalidRequest("tool_choice needs tools.", param="tool_choice")
