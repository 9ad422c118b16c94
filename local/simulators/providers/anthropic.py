"""Anthropic's messages API: content blocks, named events, thinking with signatures, its own error envelope."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from local.simulators.http1 import Request
from local.simulators.providers.anthropic_batches import BATCHES, AnthropicBatches
from local.simulators.providers.anthropic_files import FILES, AnthropicFiles
from local.simulators.providers.anthropic_request import check, read_prompt
from local.simulators.script import Answer, ToolCall, Usage, fragments
from local.simulators.wire import (
    JSON_HEADERS,
    Api,
    Call,
    Event,
    Filed,
    Json,
    Kind,
    Refused,
    Reply,
    check_key,
    decode_object,
    sse,
)

VERSIONS = ("2023-01-01", "2023-06-01", "2026-10-21")
MODELS = ("claude-opus-4-8", "claude-sonnet-5", "claude-haiku-4-5")
STOP_REASONS = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "filter": "refusal",
}
STATUSES: dict[Kind, int] = {"missing_key": 401, "wrong_key": 401, "model_not_found": 404, "no_route": 404}
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
MAX_REQUEST_BYTES = 32 * 1024 * 1024
THINKING_COUNT_BETA = "thinking-token-count"


class Anthropic(Api):
    """The messages endpoint, its batches, the files and the list of models."""

    name, prefix = "anthropic", "/anthropic"
    id_header = "request-id"

    def __init__(self) -> None:
        self._files = AnthropicFiles()
        self._batches = AnthropicBatches(self)

    def read(self, request: Request, path: str) -> Call | Json | Filed:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        check_key(request.headers.get("x-api-key") or bearer)  # with both, x-api-key counts
        version = request.headers.get("anthropic-version")
        if version not in VERSIONS:
            problem = "is required" if version is None else f'"{version}" is not a valid version'
            raise Refused("missing_parameter", f"anthropic-version: {problem}")
        if request.method == "GET" and path == "/v1/models":
            return _model_list()
        if path == FILES or path.startswith(f"{FILES}/"):
            return self._files.answer(request, path)
        if path == BATCHES or path.startswith(f"{BATCHES}/"):
            return self._batches.answer(request, path)
        if request.method != "POST" or path != "/v1/messages":
            raise Refused("no_route", "Not found")
        if len(request.body) > MAX_REQUEST_BYTES:
            raise Refused("fault", "Request exceeds the maximum allowed number of bytes.", status=413)
        body = decode_object(request.body)
        check(body, version)
        self._files.resolve(body)
        return MessagesCall(body, THINKING_COUNT_BETA in request.headers.get("anthropic-beta", ""))

    def refuse(self, refused: Refused) -> Reply:
        status = refused.status if refused.kind == "fault" else STATUSES.get(refused.kind, 400)
        retry = "true" if status in (408, 409, 429) or status >= 500 else "false"
        headers = [*JSON_HEADERS, ("request-id", "req_simrefused"), ("x-should-retry", retry)]
        if refused.retry_after_s is not None:
            headers.append(("retry-after", f"{refused.retry_after_s:g}"))
        return Reply(status, headers, msgspec.json.encode(_error(status, refused.message, refused.code)))

    def stream_error(self, status: int) -> Iterable[Event]:
        return (Event(sse(_error(status, "The server had an error while streaming."), "error")),)


class MessagesCall(Call):
    """A checked request to POST /v1/messages."""

    def __init__(self, body: Json, count_thinking: bool) -> None:
        """Raises Refused."""
        self.stream = bool(body.get("stream"))
        self.prompt, self.settings = read_prompt(body)
        self._count_thinking = count_thinking

    def body(self, answer: Answer) -> Json:
        message = self._message(answer, _blocks(answer), STOP_REASONS[answer.finish])
        message["stop_sequence"] = answer.stop_sequence
        if answer.usage:
            message["usage"] = self._usage(answer.usage) | {"service_tier": "standard"}
        return message

    def events(self, answer: Answer) -> Iterator[Event]:
        started = self._message(answer, [], None)
        if answer.usage:
            started["usage"] = _input_usage(answer.usage) | {"output_tokens": 1, "service_tier": "standard"}
        yield _event({"type": "message_start", "message": started})
        for at, block in enumerate(_stream_blocks(answer)):
            start, deltas = block
            yield _event({"type": "content_block_start", "index": at, "content_block": start})
            if at == 0:
                yield _event({"type": "ping"})
            for delta in deltas:
                yield _event({"type": "content_block_delta", "index": at, "delta": delta}, content=True)
            yield _event({"type": "content_block_stop", "index": at})
        delta = {"stop_reason": STOP_REASONS[answer.finish], "stop_sequence": answer.stop_sequence}
        last: Json = {"type": "message_delta", "delta": delta}
        if answer.usage:
            last["usage"] = self._usage(answer.usage)
        yield _event(last)
        yield _event({"type": "message_stop"})

    def _message(self, answer: Answer, content: list[Json], stop_reason: str | None) -> Json:
        return {
            "model": self.prompt.model,
            "id": f"msg_sim{answer.number:020d}",
            "type": "message",
            "role": "assistant",
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
        }

    def _usage(self, usage: Usage) -> Json:
        counts = _input_usage(usage) | {"output_tokens": usage.reply + usage.reasoning}
        if self._count_thinking:
            counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
        return counts


def _input_usage(usage: Usage) -> Json:
    """`input_tokens` leaves out what was read from or written to the cache."""
    return {
        "input_tokens": usage.prompt - usage.cached - usage.cache_write,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_write, "ephemeral_1h_input_tokens": 0},
    }


def _arguments(call: ToolCall) -> Any:
    try:
        return msgspec.json.decode(call.arguments)
    except msgspec.DecodeError:
        return {}


def _tool_id(call: ToolCall) -> str:
    return f"toolu_sim{call.number:018d}"


def _signature(answer: Answer) -> str:
    return f"c2ltdWxhdGVk{answer.number:08d}"


def _blocks(answer: Answer) -> list[Json]:
    blocks: list[Json] = []
    if answer.reasoning:
        blocks.append({"type": "thinking", "thinking": answer.reasoning_text, "signature": _signature(answer)})
    if text := answer.text:
        blocks.append({"type": "text", "text": text})
    for call in answer.calls:
        blocks.append({"type": "tool_use", "id": _tool_id(call), "name": call.name, "input": _arguments(call)})
    return blocks


def _stream_blocks(answer: Answer) -> Iterator[tuple[Json, Iterable[Json]]]:
    if answer.reasoning:
        thoughts = [{"type": "thinking_delta", "thinking": piece} for piece in answer.reasoning]
        thoughts.append({"type": "signature_delta", "signature": _signature(answer)})
        yield {"type": "thinking", "thinking": "", "signature": ""}, thoughts
    if answer.pieces:
        yield {"type": "text", "text": ""}, ({"type": "text_delta", "text": piece} for piece in answer.pieces)
    for call in answer.calls:
        start = {"type": "tool_use", "id": _tool_id(call), "name": call.name, "input": {}}
        yield start, ({"type": "input_json_delta", "partial_json": p} for p in ("", *fragments(call.arguments)))


def _event(fields: Json, *, content: bool = False) -> Event:
    """A named event. Blanks before the last brace, as the real service pads against traffic analysis."""
    data = sse(fields, fields["type"])
    return Event(data[:-3] + b" " * (len(data) % 12) + data[-3:], content)


def _error(status: int, message: str, kind: str | None = None) -> Json:
    kind = kind or ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_simrefused"}


def _model_list() -> Json:
    created_at = "2026-01-15T00:00:00Z"
    rows = [{"type": "model", "id": name, "display_name": name, "created_at": created_at} for name in MODELS]
    return {"data": rows, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
