"""The time that a stream takes grows with its length and no faster, whatever it is long in.

12,000 pieces of 400 characters: taken one by one they cost some 10 us each. Put together anew with every piece they
cost 100 us and more.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.fold import fold
from gateway.pipeline.whole_lists import WholeLists
from gateway.providers.contract import Target
from gateway.providers.lookup import provider_named
from tests.providers.framing import aws_event

PIECES, PIECE, LIMIT_S = 12_000, "ab \u00e9" * 100, 0.9
Event = dict[str, Any]


def sse(events: Iterable[Event]) -> list[bytes]:
    return [f"event: {event.get('type', '')}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def anthropic(start: Event, *deltas: Event) -> list[bytes]:
    begin = {"type": "message_start", "message": {"id": "m", "model": "c", "usage": {}}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
    block = [
        {"type": "content_block_start", "index": 0, "content_block": start},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
    ]
    return sse([begin, *block, end, {"type": "message_stop"}])


def converse(start: Event | None, piece: Event) -> list[bytes]:
    begun = [aws_event("contentBlockStart", {"contentBlockIndex": 0, "start": start})] if start else []
    one = aws_event("contentBlockDelta", {"contentBlockIndex": 0, "delta": piece})
    sealed = {"reasoningContent": {"signature": "s"}}
    seal = [aws_event("contentBlockDelta", {"contentBlockIndex": 0, "delta": sealed})] if start is None else []
    ends = [
        aws_event("contentBlockStop", {"contentBlockIndex": 0}),
        aws_event("messageStop", {"stopReason": "end_turn"}),
    ]
    return [aws_event("messageStart", {"role": "assistant"}), *begun, *[one] * PIECES, *seal, *ends]


def chat(delta: Event) -> list[bytes]:
    one = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    last = {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return [*sse([one]) * PIECES, *sse([last]), b"data: [DONE]\n\n"]


def gemini(part: Event) -> list[bytes]:
    one = {"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}]}
    last = {"candidates": [{"content": {"role": "model", "parts": []}, "finishReason": "STOP", "index": 0}]}
    return [*sse([one]) * PIECES, *sse([last])]


def cohere(kind: str, message: Event) -> list[bytes]:
    one = {"type": kind, "index": 0, "delta": {"message": message}}
    return (
        sse([{"type": "message-start", "id": "m"}]) + sse([one]) * PIECES + sse([{"type": "message-end", "delta": {}}])
    )


def responses(kind: str, **more: Any) -> list[bytes]:
    one = {"type": kind, "output_index": 0, "delta": PIECE, **more}
    done = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    return sse([{"type": "response.created", "response": {}}]) + sse([one]) * PIECES + sse([done])


THOUGHT = {"type": "thinking", "thinking": "", "signature": ""}
CALL = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
JSON_PIECES = ['{"q": "', *[PIECE] * PIECES, '"}']

STREAMS: dict[str, tuple[str, str, Callable[[], list[bytes]]]] = {
    "anthropic text": (
        *("anthropic", "messages"),
        lambda: anthropic({"type": "text", "text": ""}, *[{"type": "text_delta", "text": PIECE}] * PIECES),
    ),
    "anthropic thinking": (
        *("anthropic", "messages"),
        lambda: anthropic(THOUGHT, *[{"type": "thinking_delta", "thinking": PIECE}] * PIECES),
    ),
    "anthropic signature": (
        *("anthropic", "messages"),
        lambda: anthropic(THOUGHT, *[{"type": "signature_delta", "signature": PIECE}] * PIECES),
    ),
    "anthropic arguments": (
        *("anthropic", "messages"),
        lambda: anthropic(CALL, *[{"type": "input_json_delta", "partial_json": piece} for piece in JSON_PIECES]),
    ),
    "anthropic server tool": (
        *("anthropic", "messages"),
        lambda: anthropic(SEARCH, *[{"type": "input_json_delta", "partial_json": piece} for piece in JSON_PIECES]),
    ),
    "bedrock text": ("bedrock", "converse", lambda: converse(None, {"text": PIECE})),
    "bedrock thinking": ("bedrock", "converse", lambda: converse(None, {"reasoningContent": {"text": PIECE}})),
    "bedrock arguments": (
        *("bedrock", "converse"),
        lambda: converse({"toolUse": {"toolUseId": "t", "name": "f"}}, {"toolUse": {"input": PIECE}}),
    ),
    "openai text": ("openai", "chat_completions", lambda: chat({"content": PIECE})),
    "openai arguments": (
        *("openai", "chat_completions"),
        lambda: chat({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": PIECE}}]}),
    ),
    "openrouter reasoning": (
        *("openrouter", "chat_completions"),
        lambda: chat({"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": PIECE}]}),
    ),
    "mistral thinking": (
        *("mistral", "chat_completions"),
        lambda: chat({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": PIECE}]}]}),
    ),
    "google text": ("google", "generate_content", lambda: gemini({"text": PIECE})),
    "google thoughts": ("google", "generate_content", lambda: gemini({"text": PIECE, "thought": True})),
    "cohere text": ("cohere", "cohere_chat", lambda: cohere("content-delta", {"content": {"text": PIECE}})),
    "cohere thinking": ("cohere", "cohere_chat", lambda: cohere("content-delta", {"content": {"thinking": PIECE}})),
    "responses text": ("openai", "responses", lambda: responses("response.output_text.delta")),
    "responses reasoning": (
        *("openai", "responses"),
        lambda: responses("response.reasoning_summary_text.delta", summary_index=0),
    ),
}


@pytest.fixture(autouse=True)
def _without_garbage_collection() -> Iterator[None]:
    """Which goes through all that the tests before have left."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("name", STREAMS)
def test_a_long_stream_takes_time_in_proportion(name: str) -> None:
    provider, api, made = STREAMS[name]
    target = Target(provider, ModelFacts(id="m", name="M", api=api), "https://host.example")
    stream, parser, lists = made(), provider_named(provider).wires[api].stream(target), WholeLists()

    began_s = time.process_time()
    chunks = [chunk for event in stream for chunk in parser.feed(event)] + list(parser.close())
    parsed_s = time.process_time()
    (choice,) = fold([lists.take(chunk) for chunk in chunks]).choices
    ended_s = time.process_time()

    assert (parsed_s - began_s < LIMIT_S, ended_s - parsed_s < LIMIT_S) == (True, True)
    said = choice.message
    texts = [said.content, said.reasoning_content, *(call.function.arguments for call in said.tool_calls or ())]
    whole = "".join(text for text in texts if text) + json.dumps(said.reasoning_details, ensure_ascii=False)
    assert len(whole) > PIECES * len(PIECE)
