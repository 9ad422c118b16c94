"""Cohere's chat API, version 2: its own requests, events, token counts and errors.

https://docs.cohere.com/reference/chat, https://docs.cohere.com/v2/docs/streaming
"""

from collections.abc import Iterable, Iterator

from local.simulators.http1 import Request
from local.simulators.providers.cohere_embed import read_embed
from local.simulators.providers.cohere_request import check, read_prompt
from local.simulators.script import Answer, ToolCall, Usage, fragments, split_pieces
from local.simulators.wire import (
    JSON_HEADERS,
    Api,
    Asked,
    Call,
    Event,
    Json,
    Kind,
    Refused,
    Reply,
    check_key,
    decode_object,
    encode,
    sse,
)

FINISH = {
    "stop": "COMPLETE",
    "stop_sequence": "STOP_SEQUENCE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "filter": "ERROR_TOXIC",
}
STATUSES: dict[Kind, int] = {
    "missing_key": 401,
    "wrong_key": 401,
    "model_not_found": 404,
    "no_route": 404,
    "unknown_parameter": 422,
}
MODELS = ("command-a-03-2025", "command-a-reasoning-08-2025", "command-r7b-12-2024")
SYSTEM_TOKENS = 60
"""Cohere counts what it adds to every prompt, but does not bill it."""


class Cohere(Api):
    """The chat endpoint and the list of models."""

    name, prefix = "cohere", "/cohere"
    id_header = "x-debug-trace-id"

    def read(self, request: Request, path: str) -> Asked | Json:
        check_key(request.headers.get("authorization", "").removeprefix("Bearer "))
        if request.method == "GET" and path == "/v1/models":
            return {"models": [{"name": name, "endpoints": ["chat"]} for name in MODELS]}
        if request.method == "POST" and path == "/v2/embed":
            return read_embed(decode_object(request.body))
        if request.method != "POST" or path != "/v2/chat":
            raise Refused("no_route", "not found")
        body = decode_object(request.body)
        check(body)
        return ChatCall(body)

    def refuse(self, refused: Refused) -> Reply:
        status = refused.status if refused.kind == "fault" else STATUSES.get(refused.kind, 400)
        headers = list(JSON_HEADERS)
        if refused.retry_after_s is not None:
            headers.append(("retry-after", f"{refused.retry_after_s:g}"))
        return Reply(status, headers, encode({"id": "sim-refused", "message": refused.message}))

    def stream_error(self, status: int) -> Iterable[Event]:
        delta = {"finish_reason": "ERROR", "error": f"The server had an error while streaming ({status})."}
        return (_event({"type": "message-end", "delta": delta}),)


class ChatCall(Call):
    """A checked request to POST /v2/chat."""

    def __init__(self, body: Json) -> None:
        """Raises Refused."""
        self.stream = bool(body.get("stream"))
        self.prompt, self.settings = read_prompt(body)

    def body(self, answer: Answer) -> Json:
        message: Json = {"role": "assistant"}
        thoughts: list[Json] = [{"type": "thinking", "thinking": answer.reasoning_text}] if answer.reasoning else []
        if answer.calls:
            message |= {"tool_plan": _plan(answer), "tool_calls": [_call(call) for call in answer.calls]}
        else:
            thoughts.append({"type": "text", "text": answer.text})
        if thoughts:
            message["content"] = thoughts
        reply: Json = {"id": _id(answer), "message": message, "finish_reason": FINISH[answer.finish]}
        return reply | ({"usage": _usage(answer.usage)} if answer.usage else {})

    def events(self, answer: Answer) -> Iterator[Event]:
        empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        yield _event({"type": "message-start", "id": _id(answer), "delta": {"message": empty}})
        part = 0
        if answer.reasoning:
            yield from _content(part, "thinking", answer.reasoning)
            part += 1
        if answer.calls:
            yield from _call_events(answer)
        else:
            yield from _content(part, "text", answer.pieces)
        end: Json = {"finish_reason": FINISH[answer.finish]}
        if answer.usage:
            end["usage"] = _usage(answer.usage)
        yield _event({"type": "message-end", "delta": end})
        yield Event(b"data: [DONE]\n\n")


def _content(index: int, kind: str, pieces: Iterable[str]) -> Iterator[Event]:
    yield _about("content-start", index, content={"type": kind, kind: ""})
    for piece in pieces:
        yield _about("content-delta", index, content={kind: piece}, is_content=True)
    yield _event({"type": "content-end", "index": index})


def _call_events(answer: Answer) -> Iterator[Event]:
    for piece in split_pieces(_plan(answer)):
        yield _event({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}}, content=True)
    for index, call in enumerate(answer.calls):
        begun = _call(call) | {"function": {"name": call.name, "arguments": ""}}
        yield _about("tool-call-start", index, tool_calls=begun, is_content=True)
        for piece in fragments(call.arguments):
            yield _about("tool-call-delta", index, tool_calls={"function": {"arguments": piece}}, is_content=True)
        yield _event({"type": "tool-call-end", "index": index})


def _about(kind: str, index: int, *, is_content: bool = False, **message: Json) -> Event:
    return _event({"type": kind, "index": index, "delta": {"message": message}}, content=is_content)


def _event(fields: Json, *, content: bool = False) -> Event:
    return Event(sse(fields, fields["type"]), content)


def _plan(answer: Answer) -> str:
    return f"I will call {' and '.join(call.name for call in answer.calls)}."


def _call(call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": f"{call.name}_sim{call.number:08d}", "type": "function", "function": function}


def _id(answer: Answer) -> str:
    return f"00000000-0000-4000-8000-{answer.number:012d}"


def _usage(usage: Usage) -> Json:
    output = usage.reply + usage.reasoning
    tokens: Json = {"input_tokens": usage.prompt + SYSTEM_TOKENS, "output_tokens": output}
    if usage.reasoning:
        tokens["reasoning_tokens"] = usage.reasoning
    billed = {"input_tokens": usage.prompt, "output_tokens": output}
    return {"billed_units": billed, "tokens": tokens, "cached_tokens": usage.cached}
