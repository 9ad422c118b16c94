"""How a recorded exchange with Anthropic's Messages API reads, on api.anthropic.com and hosted elsewhere."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.provider_errors import ProviderRateLimited, ProviderRejected
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage
from tests.providers.inverse.expected import Allowance, Differs, Expected, ExpectedCall, ExpectedChoice, ExpectedError

Members = dict[str, Any]

SAME_TEXT = "a string and one text block are documented as the same; the cache mark needs a part to sit on"
NULL = "null is the same as leaving the member out"

ALLOWED: dict[str, Allowance] = {
    "anthropic-prompt_caching-377097755c49": Differs(
        {"/messages/1/content/0/cache_control": NULL, "/messages/2/content/0/content": SAME_TEXT}
    ),
}

PLAIN_TOOL = {"name", "description", "input_schema", "strict", "cache_control"}
SAME_NAME = ("max_tokens", "temperature", "top_p", "top_k", "stream")
READ_ELSEWHERE = {
    *SAME_NAME,
    *("model", "messages", "system", "tools", "tool_choice", "stop_sequences", "metadata", "thinking", "output_config"),
    "anthropic_version",
}
FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "refusal": "content_filter",
}
ERRORS: dict[int, type[ProviderRejected] | type[ProviderRateLimited]] = {
    400: ProviderRejected,
    429: ProviderRateLimited,
}


def model_facts(recording: Members) -> ModelFacts:
    """Which of the two ways of thinking the recorded request was made for."""
    body = recording["request"]["body"] if recording["request"] else {}
    thinks_at_levels = "effort" in body.get("output_config", {})
    name = _model(recording)
    return ModelFacts(id=name, name=name, api="messages", reasoning_by="effort" if thinks_at_levels else "budget")


def call_from(recording: Members) -> ChatCall:
    body = recording["request"]["body"]
    options = {name: value for name, value in body.items() if name not in READ_ELSEWHERE}
    call: Members = {"model": _model(recording), "messages": _messages(body)}
    call |= {name: body[name] for name in SAME_NAME if name in body}
    if "stop_sequences" in body:
        call["stop"] = body["stop_sequences"]
    if "metadata" in body:
        call["user"] = body["metadata"]["user_id"]
    _read_tools(body, call, options)
    _read_thinking(body, call, options)
    if options:
        call["provider_options"] = {recording["provider"]: options}
    return msgspec.convert(call, ChatCall)


def _model(recording: Members) -> str:
    request = recording["request"]
    if request is None:
        return str(recording["model"] or "unknown")
    in_path = unquote(request["url"].rpartition("/models/")[2].rpartition(":")[0])
    return str(request["body"].get("model") or in_path)


def _read_tools(body: Members, call: Members, options: Members) -> None:
    tools = body.get("tools")
    if tools and all(set(tool) <= PLAIN_TOOL and isinstance(tool["input_schema"], dict) for tool in tools):
        call["tools"] = [_function(tool) for tool in tools]
    elif tools is not None:
        options["tools"] = tools
    choice = body.get("tool_choice")
    if choice is None:
        return
    if choice["type"] == "tool":
        call["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    else:
        call["tool_choice"] = {"any": "required"}.get(choice["type"], choice["type"])
    if "disable_parallel_tool_use" in choice:
        call["parallel_tool_calls"] = not choice["disable_parallel_tool_use"]


def _function(tool: Members) -> Members:
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    function |= {name: tool[name] for name in ("description", "strict") if name in tool}
    marks = {name: tool[name] for name in ("cache_control",) if name in tool}
    return {"type": "function", "function": function, **marks}


def _read_thinking(body: Members, call: Members, options: Members) -> None:
    thinking = dict(body.get("thinking", {}))
    output = dict(body.get("output_config", {}))
    if thinking.get("type") == "disabled":
        call["reasoning_effort"] = "none"
        thinking = {}
    elif thinking.get("type") == "adaptive" and "effort" in output:
        call["reasoning_effort"] = output.pop("effort")
        del thinking["type"]
    if "format" in output:
        schema = output.pop("format")["schema"]
        call["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
    options |= {name: value for name, value in (("thinking", thinking), ("output_config", output)) if value}


def _messages(body: Members) -> list[Members]:
    messages: list[Members] = []
    if "system" in body:
        messages.append({"role": "system", "content": body["system"]})
    for turn in body["messages"]:
        if isinstance(turn["content"], str):
            messages.append(turn)
        elif turn["role"] == "assistant":
            messages.append(_assistant(turn["content"]))
        else:
            messages += _user(turn["content"])
    return messages


def _user(blocks: list[Members]) -> list[Members]:
    results = [_tool_message(block) for block in blocks if block["type"] == "tool_result"]
    parts = [_part(block) for block in blocks if block["type"] != "tool_result"]
    return [*results, {"role": "user", "content": parts}] if parts else results


def _tool_message(block: Members) -> Members:
    content = block["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else [_part(inner) for inner in content]
    if "cache_control" in block:
        parts[-1]["cache_control"] = block["cache_control"]
    plain = isinstance(content, str) and "cache_control" not in block
    return {"role": "tool", "tool_call_id": block["tool_use_id"], "content": content if plain else parts}


def _part(block: Members) -> Members:
    marks = {"cache_control": block["cache_control"]} if "cache_control" in block else {}
    if block["type"] == "text":
        return {"type": "text", "text": block["text"], **marks}
    source = block["source"]
    url = f"data:{source['media_type']};base64,{source['data']}"
    if block["type"] == "image":
        return {"type": "image_url", "image_url": {"url": url}, **marks}
    return {"type": "file", "file": {"file_data": url}, **marks}


def _assistant(blocks: list[Members]) -> Members:
    """Text before an opaque block is marked by its length, as a reply would have told it."""
    message: Members = {"role": "assistant"}
    texts = [block["text"] for block in blocks if block["type"] == "text"]
    calls = [_tool_call(block) for block in blocks if block["type"] == "tool_use"]
    details: list[Members] = []
    for position, block in enumerate(blocks):
        if block["type"] == "text" and any(later["type"] == "server_tool_use" for later in blocks[position:]):
            details.append({"type": "text", "chars": len(block["text"])})
        elif block["type"] not in ("text", "tool_use"):
            details.append(block)
    if details:
        message |= {"reasoning_details": details, "content": "".join(texts) or None}
    else:
        message["content"] = [{"type": "text", "text": text} for text in texts] or None
    if calls:
        message["tool_calls"] = calls
    return message


def _tool_call(block: Members) -> Members:
    function = {"name": block["name"], "arguments": json.dumps(block["input"])}
    call: Members = {"id": block["id"], "type": "function", "function": function}
    if "caller" in block:
        call["extra_content"] = {"anthropic": {"caller": block["caller"]}}
    return call


def expected(recording: Members) -> Expected:
    answer = recording["response"]
    if answer["status"] >= 400:
        kind = ERRORS[answer["status"]]
        wait = answer["headers"].get("retry-after")
        code = answer["body"]["error"]["type"]
        return Expected(error=ExpectedError(kind, answer["status"], code, int(wait) if wait else None))
    message = answer["body"] if "body" in answer else _assembled(answer)
    return Expected(choices=(_choice(message),), usage=_usage(message["usage"]))


def _assembled(answer: Members) -> Members:
    """The message that a stream's events amount to."""
    events = answer.get("chunks") or [
        json.loads(line.removeprefix("data:")) for line in answer["sse"].splitlines() if line.startswith("data:")
    ]
    message: Members = {"content": [], "usage": {}}
    for event in events:
        if event["type"] == "message_start":
            message = {**event["message"], "content": []}
        elif event["type"] == "content_block_start":
            message["content"].append({**event["content_block"], "pieces": ""})
        elif event["type"] == "content_block_delta":
            _grow(message["content"][event["index"]], event["delta"])
        elif event["type"] == "message_delta":
            message |= event["delta"]
            message["usage"] |= {name: value for name, value in event["usage"].items() if value is not None}
    return message


def _grow(block: Members, delta: Members) -> None:
    member = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "pieces"}.get(delta["type"])
    if member is not None:
        block[member] += delta[{"pieces": "partial_json"}.get(member, member)]


def _choice(message: Members) -> ExpectedChoice:
    blocks = message["content"]
    details = message.get("stop_details") or {}
    return ExpectedChoice(
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        reasoning="".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        refusal=details.get("explanation") or "",
        tool_calls=tuple(
            ExpectedCall(block["id"], block["name"], json.loads(block.get("pieces") or json.dumps(block["input"])))
            for block in blocks
            if block["type"] == "tool_use"
        ),
        finish_reason=FINISH[message["stop_reason"]],
    )


def _usage(figures: Members) -> TokenUsage:
    read = figures.get("cache_read_input_tokens", 0)
    written = figures.get("cache_creation_input_tokens", 0)
    written_1h = figures.get("cache_creation", {}).get("ephemeral_1h_input_tokens", 0)
    thought = figures.get("output_tokens_details", {}).get("thinking_tokens", 0)
    searches = figures.get("server_tool_use", {}).get("web_search_requests", 0)
    return TokenUsage(
        prompt_tokens=figures["input_tokens"] + read + written,
        completion_tokens=figures["output_tokens"],
        prompt=PromptTokensDetails(cached_tokens=read, cache_write_tokens=written, cache_write_1h_tokens=written_1h),
        completion=CompletionTokensDetails(reasoning_tokens=thought),
        units={"web_searches": searches} if searches else {},
    )
