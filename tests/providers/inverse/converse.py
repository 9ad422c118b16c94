"""How a recorded exchange with Amazon Bedrock's Converse and ConverseStream reads."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import msgspec
from botocore.eventstream import EventStreamBuffer

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderLacksModel, ProviderRejected
from gateway.model.usage import PromptTokensDetails, TokenUsage
from tests.providers.inverse.expected import Allowance, Differs, Expected, ExpectedCall, ExpectedChoice, ExpectedError

Members = dict[str, Any]

STATUS = "a tool message does not say whether the tool succeeded, and only some models are documented to be told"
SCHEMA = "the same JSON with other white space"
GUARDED = "the normalised call has no word for what a guardrail is to look at"

ALLOWED: dict[str, Allowance] = {
    "bedrock-citations-2ece0f34d64f": Differs(
        {
            "/messages/0/content/0/document/source/content": "the normalised call has no document in pieces",
            "/messages/0/content/0/document/source/bytes": "the normalised call has no document in pieces",
            "/messages/0/content/0/document/citations": "the normalised call has no word for asking for citations",
            "/messages/0/content/0/document/context": "the normalised call has no word for a document's context",
            "/messages/1/content": "citations of an earlier turn go back as the text that they cite for",
        }
    ),
    "bedrock-documents-c95a3fad8350": Differs(
        {"/messages/0/content/0/document/source/bytes": "recorded inside the SDK, before it encoded the bytes"}
    ),
    "bedrock-documents-db828d622b44": Differs({"/messages/2/content/0/toolResult/status": STATUS}),
    "bedrock-errors-17f8e006299e": Differs({"/messages/2/content/0/toolResult/status": STATUS}),
    "bedrock-tools-6bd1533b9390": Differs({"/messages/2/content/0/toolResult/status": STATUS}),
    "bedrock-refusal-0e6d71fa2c68": Differs(
        {f"/messages/0/content/{place}/{kind}": GUARDED for place in (0, 1) for kind in ("guardContent", "text")}
    ),
    "bedrock-refusal-bdc5ccea40bc": Differs(
        {f"/messages/0/content/{place}/{kind}": GUARDED for place in (0, 1) for kind in ("guardContent", "text")}
    ),
    "bedrock-structured_output-5e696d985701": Differs({"/outputConfig/textFormat/structure/jsonSchema/schema": SCHEMA}),
    "bedrock-structured_output-cd3263146fdc": Differs({"/outputConfig/textFormat/structure/jsonSchema/schema": SCHEMA}),
}

INFERENCE = {"maxTokens": "max_tokens", "temperature": "temperature", "topP": "top_p", "stopSequences": "stop"}
MEDIA_TYPES = {"pdf": "application/pdf", "txt": "text/plain", "jpeg": "image/jpeg", "png": "image/png"}
FINISH = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "guardrail_intervened": "content_filter",
}
ERRORS: dict[int, tuple[type[ProviderFailure], int]] = {
    400: (ProviderRejected, 400),
    403: (ProviderError, 502),
    404: (ProviderLacksModel, 404),
}


def model_facts(recording: Members) -> ModelFacts:
    name = _model(recording)
    return ModelFacts(id=name, name=name, api="converse", dialect="nova" if "amazon.nova" in name else "anthropic")


def _model(recording: Members) -> str:
    return unquote(recording["request"]["url"].partition("/model/")[2].rpartition("/")[0])


def call_from(recording: Members) -> ChatCall:
    request = recording["request"]
    body = dict(request["body"])
    call: Members = {"model": _model(recording), "messages": []}
    if request["url"].endswith("/converse-stream"):
        call["stream"] = True
    if body.get("system"):
        call["messages"].append({"role": "system", "content": list(_parts(body.pop("system")))})
    for message in body.pop("messages"):
        call["messages"] += _assistant(message) if message["role"] == "assistant" else _user(message["content"])
    _read_inference(body, call)
    _read_tools(body, call)
    if body.get("additionalModelRequestFields", {}).keys() == {"inferenceConfig"}:
        call["top_k"] = body.pop("additionalModelRequestFields")["inferenceConfig"]["topK"]
    if "outputConfig" in body:
        named = body.pop("outputConfig")["textFormat"]["structure"]["jsonSchema"]
        json_schema = {**named, "schema": json.loads(named["schema"])}
        call["response_format"] = {"type": "json_schema", "json_schema": json_schema}
    if body:
        call["provider_options"] = {"bedrock": body}
    return msgspec.convert(call, ChatCall)


def _read_inference(body: Members, call: Members) -> None:
    """An empty object or list asks for nothing, so it is left to the options."""
    config = body.pop("inferenceConfig", None)
    if config is None:
        return
    call |= {INFERENCE[name]: value for name, value in config.items() if value != []}
    empty = {name: value for name, value in config.items() if value == []}
    if empty or not config:
        body["inferenceConfig"] = empty


def _read_tools(body: Members, call: Members) -> None:
    config = body.pop("toolConfig", {})
    specs = [tool["toolSpec"] for tool in config.get("tools", []) if "toolSpec" in tool]
    if specs:
        call["tools"] = [{"type": "function", "function": _function(spec)} for spec in specs]
    elif config:
        body["toolConfig"] = config
        return
    choice = config.get("toolChoice", {})
    if "tool" in choice:
        call["tool_choice"] = {"type": "function", "function": choice["tool"]}
    elif choice:
        call["tool_choice"] = {"any": "required"}.get(*choice, *choice)


def _function(spec: Members) -> Members:
    function = {"name": spec["name"], "parameters": spec["inputSchema"]["json"]}
    return function | {name: spec[name] for name in ("description",) if name in spec}


def _user(blocks: list[Members]) -> Iterator[Members]:
    for block in blocks:
        if "toolResult" in block:
            result = block["toolResult"]
            content = list(_parts(result["content"]))
            yield {"role": "tool", "tool_call_id": result["toolUseId"], "content": content}
    parts = list(_parts([block for block in blocks if "toolResult" not in block]))
    if parts:
        yield {"role": "user", "content": parts}


def _parts(blocks: list[Members]) -> Iterator[Members]:
    for place, block in enumerate(blocks):
        (kind, value), *_ = block.items()
        marks = (
            {"cache_control": {"type": "ephemeral"}}
            if blocks[place + 1 :] and "cachePoint" in blocks[place + 1]
            else {}
        )
        if kind == "text":
            yield {"type": "text", "text": value, **marks}
        elif kind == "guardContent":
            yield {"type": "text", "text": value["text"]["text"]}
        elif kind == "image":
            yield {"type": "image_url", "image_url": {"url": _url(value)}, **marks}
        elif kind == "document":
            yield {"type": "file", "file": {"file_data": _url(value), "filename": value["name"]}, **marks}
        elif kind == "video":
            yield {"type": "video", "url": value["source"]["s3Location"]["uri"]}


def _url(media: Members) -> str:
    source = media["source"]
    data = source.get("bytes")
    if isinstance(data, dict):  # a byte array as JavaScript prints it
        data = base64.b64encode(bytes(data.values())).decode()
    if data is None:
        data = base64.b64encode("\n".join(piece["text"] for piece in source["content"]).encode()).decode()
    return f"data:{MEDIA_TYPES[media['format']]};base64,{data}"


def _assistant(message: Members) -> list[Members]:
    blocks = message["content"]
    turn: Members = {"role": "assistant"}
    if text := _text(blocks):
        turn["content"] = text
    calls = [block["toolUse"] for block in blocks if "toolUse" in block]
    if calls:
        turn["tool_calls"] = [
            {"id": use["toolUseId"], "function": {"name": use["name"], "arguments": json.dumps(use["input"])}}
            for use in calls
        ]
    return [turn]


def _text(blocks: list[Members]) -> str:
    cited = [block.get("citationsContent", {}).get("content", [block]) for block in blocks]
    return "".join(piece.get("text", "") for pieces in cited for piece in pieces)


def expected(recording: Members) -> Expected:
    answer = recording["response"]
    if answer["status"] >= 400:
        kind, status = ERRORS[answer["status"]]
        code = answer["headers"].get("x-amzn-errortype", "").split(":")[0]
        return Expected(error=ExpectedError(kind, status, code or None))
    if "body" in answer:
        whole = answer["body"]
        blocks = whole["output"]["message"]["content"]
        return Expected(choices=(_choice(blocks, whole["stopReason"]),), usage=_usage(whole["usage"]))
    blocks, stop, usage = _assembled(answer)
    return Expected(choices=(_choice(blocks, stop),), usage=_usage(usage))


def _assembled(answer: Members) -> tuple[list[Members], str, Members]:
    blocks: dict[int, Members] = {}
    stop, usage = "", dict[str, Any]()
    for name, event in _events(answer):
        index = event.get("contentBlockIndex", -1)
        if name == "contentBlockStart" and "toolUse" in event["start"]:
            blocks[index] = {"toolUse": {**event["start"]["toolUse"], "input": ""}}
        elif name == "contentBlockDelta":
            _grow(blocks.setdefault(index, {}), event["delta"])
        stop = event.get("stopReason", stop)
        usage = event.get("usage", usage)
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"] or "{}")
    return [blocks[index] for index in sorted(blocks)], stop, usage


def _grow(block: Members, delta: Members) -> None:
    if "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    elif "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    elif "text" in delta.get("reasoningContent", {}):
        said = block.setdefault("reasoningContent", {}).setdefault("reasoningText", {"text": ""})
        said["text"] += delta["reasoningContent"]["text"]


def _events(answer: Members) -> Iterator[tuple[str, Members]]:
    for chunk in answer.get("chunks", ()):
        yield from chunk.items()
    buffer = EventStreamBuffer()
    buffer.add_data(base64.b64decode(answer.get("base64", "")))
    for message in buffer:
        yield message.headers[":event-type"], json.loads(message.payload)


def _choice(blocks: list[Members], stop: str) -> ExpectedChoice:
    thoughts = [block["reasoningContent"].get("reasoningText", {}) for block in blocks if "reasoningContent" in block]
    uses = [block["toolUse"] for block in blocks if "toolUse" in block]
    return ExpectedChoice(
        text=_text(blocks),
        reasoning="".join(thought.get("text", "") for thought in thoughts),
        tool_calls=tuple(
            ExpectedCall(use["toolUseId"], use["name"], use["input"])
            for use in uses
            if use.get("type") != "server_tool_use"
        ),
        finish_reason=FINISH[stop],
    )


def _usage(figures: Members) -> TokenUsage:
    """The total counts what went through the cache, so it tells the prompt without knowing what `inputTokens` means."""
    return TokenUsage(
        prompt_tokens=figures["totalTokens"] - figures["outputTokens"],
        completion_tokens=figures["outputTokens"],
        prompt=PromptTokensDetails(
            cached_tokens=figures.get("cacheReadInputTokens", 0),
            cache_write_tokens=figures.get("cacheWriteInputTokens", 0),
        ),
    )
