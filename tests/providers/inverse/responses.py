"""How a recorded exchange with a responses API reads, at OpenAI and at those who imitate it."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderRateLimited, ProviderRejected
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage
from tests.providers.inverse.expected import (
    Allowance,
    Differs,
    Expected,
    ExpectedCall,
    ExpectedChoice,
    ExpectedError,
    Refused,
    parsed,
    stated_cost_nano_usd,
)

Members = dict[str, Any]

STORE = (
    "the gateway keeps nothing at a provider unless it is asked to; the API keeps everything unless it is told not to"
)
STRICT = "left out, the API rewrites the schema to a strict one, which the normalised call has not asked for"
TYPE = "a message needs no type"
TEXT = "a text is documented as the same as one user message"
NULL = "null is the same as leaving the member out"
ID = "an item's id means nothing where the item is not stored"

CSV = "a text goes as text, as by chat completions: of a file the API reads only the first rows"

ALLOWED: dict[str, Allowance] = {
    "azure-server_tools-d23c062028b7": Differs({"/store": STORE}),
    "openai-chat-5035068450e9": Refused("only a promise would come back", "provider_options.openai.background"),
    "openai-citations-6d134d1a5f2b": Differs({"/store": STORE, "/input": TEXT, "/tools/0/strict": STRICT}),
    "openai-documents-22331e5354f4": Refused("the gateway cannot see what it says", "provider_options.openai.prompt"),
    "openai-documents-62e1f977bcfb": Differs(
        {f"/input/2/content/0/{name}": CSV for name in ("type", "text", "filename", "file_data")}
    ),
    "openai-errors-a64e808348a0": Differs({"/store": STORE, "/input/2/id": ID, "/tools/0/description": NULL}),
    "openai-parallel_tools-4dae7889814a": Differs(
        {"/store": STORE, "/input/0/type": TYPE, "/tools/0/strict": STRICT, "/tools/1/strict": STRICT}
    ),
    "openai-prompt_caching-53eb06d65dfc": Differs({"/store": STORE, "/input/0/type": TYPE}),
    "openai-reasoning-4946dc49473e": Differs({"/store": STORE, "/input/0/type": TYPE, "/tools/0/strict": STRICT}),
    "openai-refusal-fcae6ca2227a": Differs({"/store": STORE, "/input/0/type": TYPE}),
    "openai-server_tools-014c20524b6f": Differs({"/store": STORE, "/previous_response_id": NULL}),
    "openai-server_tools-4046d8cbcfe7": Refused(
        "the gateway cannot see what it says", "provider_options.openai.previous_response_id"
    ),
    "openai-server_tools-d339f38d3825": Differs({"/store": STORE, "/input/0/type": TYPE, "/input/3/type": TYPE}),
    "openai-stream-eccd6c2886bb": Differs({"/store": STORE, "/input": TEXT}),
    "xai-parallel_tools-e00f7fb8010d": Differs(
        {"/store": STORE, "/input/0/type": TYPE, "/input/1/type": TYPE}
        | {"/tools/0/strict": STRICT, "/tools/1/strict": STRICT}
    ),
    "xai-prompt_caching-3950adce86bf": Differs({"/store": STORE, "/input/0/type": TYPE, "/tools/0/strict": STRICT}),
}

ENCRYPTED = "reasoning.encrypted_content"
SAME_NAME = ("stream", "temperature", "parallel_tool_calls", "service_tier", "store", "tool_choice")
READ_ELSEWHERE = {*SAME_NAME, "model", "input", "tools", "text", "reasoning", "include", "max_output_tokens"}
ERRORS: dict[int, type[ProviderFailure]] = {400: ProviderRejected, 401: ProviderError, 429: ProviderRateLimited}


def model_facts(recording: Members) -> ModelFacts:
    """Whether the model reasons: then the gateway asks for its encrypted reasoning, as the source has done."""
    body = (recording["request"] or {"body": {}})["body"]
    name = body.get("model") or recording["model"] or "unknown"
    reasons = ENCRYPTED in body.get("include", [])
    return ModelFacts(id=name, name=name, api="responses", reasoning_by="effort" if reasons else None)


def call_from(recording: Members) -> ChatCall:
    body = recording["request"]["body"]
    call: Members = {name: body[name] for name in SAME_NAME if name in body}
    options = {name: body[name] for name in body.keys() - READ_ELSEWHERE if body[name] is not None}
    call["model"] = body.get("model", "unknown")
    call["messages"] = _messages(body.get("input", "in the template"), recording["provider"])
    if "max_output_tokens" in body:
        call["max_completion_tokens"] = body["max_output_tokens"]
    if include := [wanted for wanted in body.get("include", []) if wanted != ENCRYPTED]:
        options["include"] = include
    _read_tools(body.get("tools", []), call, options)
    _read_settings(body, call, options)
    if options:
        call["provider_options"] = {recording["provider"]: options}
    return msgspec.convert(call, ChatCall)


def _read_tools(tools: list[Members], call: Members, options: Members) -> None:
    functions = [tool for tool in tools if tool["type"] == "function"]
    others = [tool for tool in tools if tool["type"] != "function"]
    if functions:
        call["tools"] = [
            {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}
            for tool in functions
        ]
    if others:
        options["tools"] = others


def _read_settings(body: Members, call: Members, options: Members) -> None:
    reasoning = dict(body.get("reasoning", {}))
    if "effort" in reasoning:
        call["reasoning_effort"] = reasoning.pop("effort")
    if reasoning:
        options["reasoning"] = reasoning
    if wanted := body.get("text", {}).get("format"):
        schema = {name: value for name, value in wanted.items() if name != "type"}
        call["response_format"] = {"type": "json_schema", "json_schema": schema}


def _messages(given: str | list[Members], provider: str) -> list[Members]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    messages: list[Members] = []
    for item in given:
        kind = item.get("type", "message")
        if kind == "message":
            content = item["content"]
            parts = content if isinstance(content, str) else [_part(part) for part in content]
            messages.append({"role": item["role"], "content": parts})
        elif kind == "function_call_output":
            messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]})
        else:
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant"})
            _grow(messages[-1], item, provider)
    return messages


def _grow(message: Members, item: Members, provider: str) -> None:
    """The assistant's items of these recordings stand in the usual order: what is not a call, then calls."""
    if item["type"] == "function_call":
        function = {"name": item["name"], "arguments": item["arguments"]}
        message.setdefault("tool_calls", []).append({"id": item["call_id"], "type": "function", "function": function})
    else:
        assert "tool_calls" not in message
        detail = {"type": "responses.item", "provider": provider, "item": item}
        message.setdefault("reasoning_details", []).append(detail)


def _part(part: Members) -> Members:
    if part["type"] == "input_text":
        return {"type": "text", "text": part["text"]}
    if part["type"] == "input_image":
        return {"type": "image_url", "image_url": {"url": part["image_url"]}}
    if "file_url" in part:
        return {"type": "document", "url": part["file_url"]}
    return {"type": "file", "file": {name: part[name] for name in ("filename", "file_data")}}


def expected(recording: Members) -> Expected:
    answer = recording["response"]
    if answer["status"] >= 400:
        return _error(answer["body"], answer["status"])
    whole = answer["body"] if "body" in answer else last(answer)
    if whole.get("type") == "error":
        return _error(whole, 429)
    if whole["status"] == "queued":
        return Expected(error=ExpectedError(ProviderError, 502, "queued"))
    return Expected(choices=(_choice(whole),), usage=_usage(whole["usage"], _units(whole), recording["provider"]))


def last(answer: Members) -> Members:
    """The response of the last event, with its items as they were when each was done; or the event of an error."""
    lines = [line.removeprefix("data:").strip() for line in answer.get("sse", "").splitlines() if "data:" in line[:5]]
    events = answer.get("chunks") or [json.loads(line) for line in lines if line != "[DONE]"]
    for event in events:
        if event["type"] == "error":
            return dict(event)
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    return {**events[-1]["response"], "output": items}


def _choice(whole: Members) -> ExpectedChoice:
    messages = [item for item in whole["output"] if item["type"] == "message"]
    parts = [part for message in messages for part in message["content"]]
    calls = [item for item in whole["output"] if item["type"] == "function_call"]
    reasoning = [item for item in whole["output"] if item["type"] == "reasoning"]
    thoughts = [part["text"] for item in reasoning for part in item.get("content") or item["summary"]]
    reason = (whole["incomplete_details"] or {}).get("reason")
    finish = {"max_output_tokens": "length", None: "tool_calls" if calls else "stop"}[reason]
    return ExpectedChoice(
        text="".join(part.get("text", "") for part in parts),
        reasoning="\n\n".join(thoughts),
        refusal="".join(part.get("refusal", "") for part in parts),
        tool_calls=tuple(ExpectedCall(call["call_id"], call["name"], parsed(call["arguments"])) for call in calls),
        finish_reason=finish,
    )


def _units(whole: Members) -> dict[str, int]:
    """Of tools that are paid beside tokens; in no recording the figures tell of another than searches."""
    made = sum(item["type"] == "image_generation_call" for item in whole["output"])
    counts = {"web_searches": _searches(whole), "server_tools:image_gen": made}
    return {name: count for name, count in counts.items() if count}


def _searches(whole: Members) -> int:
    """As counted in `tool_usage`, in older recordings the items that searched."""
    if "web_search" in whole.get("tool_usage", {}):
        return int(whole["tool_usage"]["web_search"]["num_requests"])
    calls = [item for item in whole["output"] if item["type"] == "web_search_call"]
    return sum(call.get("action", {}).get("type", "search") == "search" for call in calls)


def _usage(figures: Members, units: dict[str, int], provider: str) -> TokenUsage:
    return TokenUsage(
        prompt_tokens=figures["input_tokens"],
        completion_tokens=figures["output_tokens"],
        prompt=PromptTokensDetails(
            cached_tokens=figures["input_tokens_details"]["cached_tokens"],
            cache_write_tokens=figures["input_tokens_details"].get("cache_write_tokens", 0),
        ),
        completion=CompletionTokensDetails(reasoning_tokens=figures["output_tokens_details"]["reasoning_tokens"]),
        units=units,
        stated_cost_nano_usd=stated_cost_nano_usd(figures, provider),
    )


def _error(body: Members, status: int) -> Expected:
    said = body["error"] if isinstance(body["error"], dict) else body
    is_our_key = str(said.get("error", "")).startswith("Incorrect API key")  # xAI says 400 to that
    kind = ERRORS[401 if is_our_key else status]
    return Expected(error=ExpectedError(kind, kind.status, said["code"] or said["type"]))
