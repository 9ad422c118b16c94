"""From bytes to a valid call. Every refusal names the field."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from gateway.model.call import MAX_BEGIN_MS, MAX_JOB_MS, Call
from gateway.model.chat import ChatCall
from gateway.model.errors import InvalidRequest
from gateway.pipeline.decode import check_json_type, decoded
from gateway.providers.lookup import has_provider, provider_names

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

    Raises UnsupportedMediaType (415), UnreadableBody or InvalidRequest (400).
    """
    check_json_type(content_type)
    call = decoded(body, decoder)
    check_call(call)
    return call


def check_call(call: Call) -> None:
    """What every call has. Raises InvalidRequest (400)."""
    if call.conversation_id is not None and _CONVERSATION_ID.fullmatch(call.conversation_id) is None:
        raise InvalidRequest(
            "metadata.conversation_id has 1 to 128 visible ASCII characters.", param="metadata.conversation_id"
        )
    _check_timeouts(call)
    _check_providers(call)
    if call.async_ and call.is_streamed:
        raise InvalidRequest("A job has its reply when it has ended: it cannot be streamed.", param="async")
    if call.webhook_url is not None and not call.async_:
        raise InvalidRequest("Only a job's end is told: webhook_url needs async: true.", param="webhook_url")
    _check_fallback(call)


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


def _check_fallback(call: Call) -> None:
    given = [name for name in ("fallback", "fallbacks", "models") if getattr(call, name) is not None]
    if len(given) > 1:
        raise InvalidRequest(f"{' and '.join(given)} say the same; send one.", param=given[-1])


def _check_timeouts(call: Call) -> None:
    """What nobody can have is refused. Of the rest an attempt has what is left of the request's time (`Watch`)."""
    if call.timeouts is None or call.is_streamed:
        return
    if call.timeouts.ttft_ms is not None:
        raise InvalidRequest("timeouts.ttft_ms is only allowed with stream: true.", param="timeouts.ttft_ms")
    longest_ms, without = (MAX_JOB_MS, "") if call.async_ else (MAX_BEGIN_MS, " without stream or async: true")
    if call.timeouts.total_ms is not None and call.timeouts.total_ms > longest_ms:
        raise InvalidRequest(f"timeouts.total_ms is at most {longest_ms}{without}.", param="timeouts.total_ms")


def _check_providers(call: Call) -> None:
    """Options for another provider than the chosen one may stay: they are for a model to fall back on."""
    for name in call.provider_options or ():
        if not has_provider(name):
            known = ", ".join(sorted(provider_names()))
            raise InvalidRequest(
                f"There is no provider '{name[:64]}'. There are: {known}.", param=f"provider_options.{name[:64]}"
            )
