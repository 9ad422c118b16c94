"""Step 2: from bytes to a valid chat call. Every refusal names the field."""

from __future__ import annotations

import re

import msgspec

from gateway.model.chat import ChatCall
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.pipeline.decode import check_json_type, decoded

_decoder = msgspec.json.Decoder(ChatCall)
_CONVERSATION_ID = re.compile(r"[\x21-\x7e]{1,128}")


def read_chat_call(content_type: str, body: bytes) -> ChatCall:
    """Raises UnsupportedMediaType (415), UnreadableBody, InvalidRequest or CapabilityNotSupported (400)."""
    check_json_type(content_type)
    call = decoded(body, _decoder)
    _check_together(call)
    _refuse_what_comes_later(call)
    return call


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
