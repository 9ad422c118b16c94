"""Amazon Bedrock: Converse, and ConverseStream in AWS's event stream framing; ApplyGuardrail.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from local.simulators.http1 import Request
from local.simulators.providers.bedrock_frames import event, exception
from local.simulators.providers.bedrock_guardrail import PATH, applied
from local.simulators.providers.bedrock_invoke import read_invoke
from local.simulators.providers.bedrock_request import check, check_access, read_prompt
from local.simulators.script import Answer, ToolCall, Usage, fragments
from local.simulators.wire import (
    JSON_HEADERS,
    UNKNOWN_MODEL,
    Api,
    Asked,
    Call,
    Event,
    Json,
    Kind,
    Refused,
    Reply,
    decode_object,
)

OPERATIONS = {"converse": False, "converse-stream": True}
STOP_REASONS = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "filter": "content_filtered",
}
STATUSES: dict[Kind, int] = {"missing_key": 403, "wrong_key": 403, "no_route": 404}
CODES: dict[Kind, str] = {
    "missing_key": "MissingAuthenticationTokenException",
    "wrong_key": "UnrecognizedClientException",
    "no_route": "UnknownOperationException",
}
CODE_OF_STATUS = {
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
EXCEPTION_OF_STATUS = {
    400: "validationException",
    429: "throttlingException",
    500: "internalServerException",
    503: "serviceUnavailableException",
}
PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Bedrock(Api):
    """Three operations of the runtime endpoint, and guardrails; requests are signed, or carry an API key."""

    name, prefix = "bedrock", "/bedrock"
    id_header = "x-amzn-requestid"

    def read(self, request: Request, path: str) -> Asked | Json:
        check_access(request)
        if request.method == "POST" and (guardrail := PATH.fullmatch(path)):
            return applied(guardrail, decode_object(request.body))
        model, _, operation = path.removeprefix("/model/").rpartition("/")
        if request.method != "POST" or not path.startswith("/model/") or operation not in (*OPERATIONS, "invoke"):
            raise Refused("no_route", "Unknown operation")
        if UNKNOWN_MODEL in model:
            raise Refused("model_not_found", "The provided model identifier is invalid.")
        body = decode_object(request.body)
        if operation == "invoke":
            return read_invoke(model, body)
        check(body)
        return ConverseCall(model, body, stream=OPERATIONS[operation])

    def refuse(self, refused: Refused) -> Reply:
        status = refused.status if refused.kind == "fault" else STATUSES.get(refused.kind, 400)
        asked = refused.code if refused.kind == "fault" else None
        code = asked or CODES.get(refused.kind) or CODE_OF_STATUS.get(status, "ValidationException")
        headers = [*JSON_HEADERS, ("x-amzn-errortype", f"{code}:http://internal.amazon.com/coral/com.amazon.bedrock/")]
        if refused.retry_after_s is not None:
            headers.append(("retry-after", f"{refused.retry_after_s:g}"))
        return Reply(status, headers, msgspec.json.encode({"message": refused.message}))

    def stream_error(self, status: int) -> Iterable[Event]:
        name = EXCEPTION_OF_STATUS.get(status, "modelStreamErrorException")
        return (Event(exception(name, {"message": "The server had an error while streaming."})),)


class ConverseCall(Call):
    """A checked request to either operation."""

    stream_type = "application/vnd.amazon.eventstream"

    def __init__(self, model: str, body: Json, *, stream: bool) -> None:
        """Raises Refused."""
        self.stream = stream
        self.prompt, self.settings = read_prompt(model, body)

    def body(self, answer: Answer) -> Json:
        whole: Json = {
            "output": {"message": {"role": "assistant", "content": _blocks(answer)}},
            "stopReason": STOP_REASONS[answer.finish],
            "metrics": {"latencyMs": 1},
        }
        return whole | ({"usage": _usage(answer.usage)} if answer.usage else {})

    def events(self, answer: Answer) -> Iterator[Event]:
        yield _event("messageStart", {"role": "assistant"})
        for index, (start, deltas) in enumerate(_stream_blocks(answer)):
            at = {"contentBlockIndex": index}
            if start:
                yield _event("contentBlockStart", {**at, "start": start})
            for delta in deltas:
                yield _event("contentBlockDelta", {**at, "delta": delta}, content=True)
            yield _event("contentBlockStop", at)
        yield _event("messageStop", {"stopReason": STOP_REASONS[answer.finish]})
        usage = {"usage": _usage(answer.usage)} if answer.usage else {}
        yield _event("metadata", {**usage, "metrics": {"latencyMs": 1}})


def _event(name: str, payload: Json, *, content: bool = False) -> Event:
    """With padding of changing length, as the real service hides how long its pieces are."""
    length = 1 + len(str(payload)) % len(PADDING)
    return Event(event(name, {**payload, "p": PADDING[:length]}), content)


def _usage(usage: Usage) -> Json:
    """`inputTokens` leaves out what was read from or written to the cache; the total has it all."""
    said = usage.reply + usage.reasoning
    return {
        "inputTokens": usage.prompt - usage.cached - usage.cache_write,
        "outputTokens": said,
        "totalTokens": usage.prompt + said,
        "cacheReadInputTokens": usage.cached,
        "cacheWriteInputTokens": usage.cache_write,
        "serverToolUsage": {},
    }


def _arguments(call: ToolCall) -> Any:
    try:
        return msgspec.json.decode(call.arguments)
    except msgspec.DecodeError:
        return {}


def _use(call: ToolCall) -> Json:
    return {"toolUseId": f"tooluse_sim{call.number:014d}", "name": call.name}


def _signature(answer: Answer) -> str:
    return f"c2ltdWxhdGVk{answer.number:08d}"


def _blocks(answer: Answer) -> list[Json]:
    blocks: list[Json] = []
    if answer.reasoning:
        said = {"text": answer.reasoning_text, "signature": _signature(answer)}
        blocks.append({"reasoningContent": {"reasoningText": said}})
    if text := answer.text:
        blocks.append({"text": text})
    return blocks + [{"toolUse": {**_use(call), "input": _arguments(call)}} for call in answer.calls]


def _stream_blocks(answer: Answer) -> Iterator[tuple[Json, Iterable[Json]]]:
    """How each block starts (text and reasoning: without saying so), and its pieces."""
    if answer.reasoning:
        thoughts = [{"reasoningContent": {"text": piece}} for piece in answer.reasoning]
        yield {}, [*thoughts, {"reasoningContent": {"signature": _signature(answer)}}]
    if answer.pieces:
        yield {}, ({"text": piece} for piece in answer.pieces)
    for call in answer.calls:
        yield {"toolUse": _use(call)}, ({"toolUse": {"input": piece}} for piece in fragments(call.arguments))
