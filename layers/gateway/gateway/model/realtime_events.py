"""What a client hears in a session of voice in real time: the server events of OpenAI's Realtime API.

https://developers.openai.com/api/reference/resources/realtime/server-events (2026-11). They are JSON objects, because
what OpenAI adds to an event is passed on. Besides there are the gateway's own, which begin with `gateway.`.
"""

from __future__ import annotations

from typing import TypeAlias

from gateway.model.chat import Json
from gateway.model.errors import GatewayError
from gateway.model.money import usd_text
from gateway.model.usage import TokenUsage

ServerEvent: TypeAlias = Json

SERVER_EVENTS = frozenset(
    {
        *("error", "session.created", "session.updated"),
        *("conversation.item.added", "conversation.item.done", "conversation.item.deleted"),
        *("conversation.item.retrieved", "conversation.item.truncated"),
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.segment",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.input_audio_transcription.failed",
        *("input_audio_buffer.committed", "input_audio_buffer.cleared", "input_audio_buffer.timeout_triggered"),
        *("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"),
        *("response.created", "response.done", "response.output_item.added", "response.output_item.done"),
        *("response.content_part.added", "response.content_part.done"),
        *("response.output_text.delta", "response.output_text.done"),
        *("response.output_audio.delta", "response.output_audio.done"),
        *("response.output_audio_transcript.delta", "response.output_audio_transcript.done"),
        *("response.function_call_arguments.delta", "response.function_call_arguments.done"),
    }
)
"""Of a provider; others that it may send are not passed on: `rate_limits.updated` tells of the account's own limits."""
GATEWAY_EVENTS = frozenset({"gateway.session.recovered", "gateway.session.summary"})


def error_event(error: GatewayError, event_id: str, *, cause: str | None = None) -> ServerEvent:
    """`cause`: the client's own id of the event that is refused."""
    said = error.wire("")["error"]
    said.pop("request_id")
    return {"type": "error", "event_id": event_id, "error": {**said, "event_id": cause}}


def summary_event(
    event_id: str, request_id: str, usage: TokenUsage, *, seconds: int, cost_nano_usd: int | None
) -> ServerEvent:
    """The last event before the connection is closed with 1000. `usage`: of the whole session, all models together.

    `cost_estimate`: USD; null when a price that is needed is unknown.
    """
    return {
        "type": "gateway.session.summary",
        "event_id": event_id,
        "request_id": request_id,
        "usage": {
            **usage_member(usage),
            "seconds": seconds,
            "cost_estimate": None if cost_nano_usd is None else float(usd_text(cost_nano_usd)),
        },
    }


def usage_member(usage: TokenUsage) -> Json:
    """As `response.done` has it."""
    heard, said = usage.prompt, usage.completion
    return {
        "total_tokens": usage.total_tokens,
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "input_token_details": {
            "text_tokens": usage.prompt_tokens - heard.audio_tokens - heard.image_tokens,
            "audio_tokens": heard.audio_tokens,
            "image_tokens": heard.image_tokens,
            "cached_tokens": heard.cached_tokens,
            "cached_tokens_details": {
                "text_tokens": heard.cached_tokens - heard.cached_audio_tokens,
                "audio_tokens": heard.cached_audio_tokens,
            },
        },
        "output_token_details": {
            "text_tokens": usage.completion_tokens - said.audio_tokens,
            "audio_tokens": said.audio_tokens,
            "reasoning_tokens": said.reasoning_tokens,
        },
    }
