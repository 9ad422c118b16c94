"""How a recorded exchange with a chat completions API reads, at OpenAI and at those who imitate it."""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.provider_errors import (
    ProviderError,
    ProviderFailure,
    ProviderLacksModel,
    ProviderRateLimited,
    ProviderRejected,
)
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

NULL = "null or nothing in it is the same as leaving the member out"
TWICE = "the source sent its reasoning under two names; the provider reads the other one"
ONE = "the provider gives one choice anyway and its rules forbid to ask for more"
INDEX = "a leftover of a stream that no reference asks for; strict providers refuse what they do not know"
DEPLOYMENT = "the URL names the deployment; the body may too, and other APIs require it there"

ALLOWED: dict[str, Allowance] = {
    "azure-chat-dfd78d5dd8b9": Differs({"/model": DEPLOYMENT}),
    "azure-parallel_tools-56f5ad53dffd": Differs({"/model": DEPLOYMENT}),
    "azure-structured_output-be8602dc72ca": Differs({"/model": DEPLOYMENT}),
    "azure-tools-788845306fcc": Differs({"/model": DEPLOYMENT}),
    "deepseek-errors-612ebb8eb576": Refused("it takes no video, as its recorded 400 says", "messages[0].content[1]"),
    "groq-errors-da78e2190ba7": Differs({"/n": ONE}),
    "groq-vision-a357cef9a880": Differs({"/n": ONE}),
    "huggingface-stream-e3b5f2f64b14": Differs({"/tools": NULL}),
    "mistral-documents-36d83a1a8fae": Differs(
        {"/messages/1/tool_calls/0/index": INDEX, "/tools/0/type": "the source left out what the reference requires"}
    ),
    "ollama-reasoning-47b1a76fc69d": Differs({"/messages/1/reasoning_content": TWICE}),
    "ollama-reasoning-8af400493cd8": Differs(
        {"/messages/1/reasoning_content": TWICE, "/messages/3/reasoning_content": TWICE}
    ),
    "ollama-server_tools-2359301da4bf": Refused("it drops the wish to search without a word", "web_search_options"),
    "openai-tools-d41205d55d7a": Differs(
        {f"/messages/1/{name}": NULL for name in ("annotations", "audio", "function_call", "parsed", "refusal")}
        | {"/messages/1/tool_calls/0/function/parsed_arguments": NULL, "/messages/1/tool_calls/0/index": INDEX}
    ),
}

SAME_NAME = {
    *("max_tokens", "max_completion_tokens", "temperature", "top_p", "n", "stop", "seed", "presence_penalty"),
    *("frequency_penalty", "stream", "stream_options", "tool_choice", "parallel_tool_calls", "response_format"),
    *("reasoning_effort", "service_tier", "modalities", "audio", "web_search_options", "user"),
}
CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "num_cached_tokens")
ERRORS: dict[int, type[ProviderFailure]] = {
    400: ProviderRejected,
    401: ProviderError,
    404: ProviderLacksModel,
    429: ProviderRateLimited,
}


def model_facts(recording: Members) -> ModelFacts:
    body = recording["request"]["body"]
    name = _model(recording)
    limit = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
    return ModelFacts(id=name, name=name, output_limit_field=limit)  # type: ignore[arg-type]  # one of the two words


def call_from(recording: Members) -> ChatCall:
    body = recording["request"]["body"]
    call = {name: body[name] for name in SAME_NAME if body.get(name) is not None}
    options = {name: body[name] for name in body.keys() - SAME_NAME - {"model", "messages", "tools"}}
    call["model"] = _model(recording)
    call["messages"] = [_message(message) for message in body["messages"]]
    tools = body.get("tools", [])
    if any("function" not in tool for tool in tools):
        options["tools"] = tools
    elif "tools" in body:
        call["tools"] = [{"type": "function", **tool} for tool in tools]
    if call.get("tool_choice") == "any":
        call["tool_choice"] = "required"
    if options:
        call["provider_options"] = {recording["provider"]: options}
    return msgspec.convert(call, ChatCall)


def _model(recording: Members) -> str:
    """Azure's older API names the deployment in the URL, whatever the body says."""
    deployment = urlsplit(recording["request"]["url"]).path.partition("/deployments/")[2].partition("/")[0]
    return unquote(deployment) or recording["request"]["body"].get("model") or "unknown"


def _message(recorded: Members) -> Members:
    message = {name: value for name, value in recorded.items() if value is not None or name == "content"}
    if isinstance(message.get("content"), list):
        message["content"] = [_part(part) for part in message["content"]]
    if "reasoning" in message:
        message["reasoning_content"] = message.pop("reasoning")
    if "tool_calls" in message:
        message["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    return message


def _call(recorded: Members) -> Members:
    function = {name: recorded["function"][name] for name in ("name", "arguments")}
    return {**recorded, "function": function}


def _part(recorded: Members) -> Members:
    if recorded["type"] == "document_url":
        name = {"name": recorded["document_name"]} if "document_name" in recorded else {}
        return {"type": "document", "url": recorded["document_url"], **name}
    if recorded["type"] == "video_url":
        return {"type": "video", "url": recorded["video_url"]["url"]}
    if recorded["type"] == "input_audio" and isinstance(recorded["input_audio"], str):
        return {"type": "input_audio", "input_audio": {"data": recorded["input_audio"], "format": "mp3"}}
    return recorded


def expected(recording: Members) -> Expected:
    response = recording["response"]
    if response["status"] >= 400:
        return _error(response["body"], response["status"], response["headers"])
    documents = _events(response["sse"]) if "sse" in response else [response["body"]]
    for document in documents:
        if "error" in document:
            return _error(document, document["error"]["code"], {})
    usage = [figures for document in documents if (figures := _figures(document))]
    indices = {choice["index"] for document in documents for choice in document["choices"]}
    side = "delta" if "sse" in response else "message"
    return Expected(
        choices=tuple(_choice(documents, index, side) for index in sorted(indices)),
        usage=_usage(usage[-1], recording["provider"]) if usage else None,
    )


def _events(sse: str) -> list[Members]:
    lines = [line.removeprefix("data:").strip() for line in sse.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def _choice(documents: list[Members], index: int, side: str) -> ExpectedChoice:
    said = [choice for document in documents for choice in document["choices"] if choice["index"] == index]
    pieces = [choice[side] for choice in said]
    reasons = [choice["finish_reason"] for choice in said if choice.get("finish_reason")]
    return ExpectedChoice(
        text="".join(piece.get("content") or "" for piece in pieces),
        reasoning="".join(piece.get("reasoning_content") or piece.get("reasoning") or "" for piece in pieces),
        refusal="".join(piece.get("refusal") or "" for piece in pieces),
        tool_calls=_calls([call for piece in pieces for call in piece.get("tool_calls") or []]),
        finish_reason=reasons[0],
    )


def _calls(pieces: list[Members]) -> tuple[ExpectedCall, ...]:
    """A piece with a name begins a call; in these recordings the pieces of one call are never interleaved."""
    calls: list[Members] = []
    for piece in pieces:
        if piece["function"].get("name"):
            calls.append({"id": piece.get("id") or None, "name": piece["function"]["name"], "arguments": ""})
        calls[-1]["arguments"] += piece["function"].get("arguments") or ""
    return tuple(ExpectedCall(call["id"], call["name"], parsed(call["arguments"])) for call in calls)


def _figures(document: Members) -> Members | None:
    figures = document.get("usage") or document.get("x_groq", {}).get("usage")
    return dict(figures) if figures else None


def _usage(raw: Members, provider: str) -> TokenUsage:
    """Sums decide: what is missing in the total is reasoning (xAI, Gemini), at Mistral the prompt's audio."""
    total, prompt, completion = raw["total_tokens"], raw["prompt_tokens"], raw["completion_tokens"]
    missing = total - prompt - completion
    if provider == "mistral":
        prompt, missing = prompt + missing, 0
    completion += missing
    inner, outer = raw.get("prompt_tokens_details") or {}, raw.get("completion_tokens_details") or {}
    cached = next((value for name in CACHED if (value := raw.get(name))), inner.get("cached_tokens", 0))
    reasoning = outer.get("reasoning_tokens") or raw.get("reasoning_tokens") or missing
    parts = ("audio_tokens", "image_tokens", "video_tokens", "cache_write_tokens")
    shown = ("audio_tokens", "image_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens")
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        prompt=PromptTokensDetails(
            cached_tokens=min(cached, prompt),  # a recording of grok on Azure claims more cached than asked
            **{name: inner.get(name, 0) for name in parts},
        ),
        completion=CompletionTokensDetails(reasoning_tokens=reasoning, **{name: outer.get(name, 0) for name in shown}),
        stated_cost_nano_usd=stated_cost_nano_usd(raw, provider),
    )


def _error(body: Members, status: int, headers: Members) -> Expected:
    said = body.get("error") or {}
    kind = ERRORS[status]
    code = said.get("code") or said.get("type")
    wait = headers.get("retry-after")
    if "retry-after-ms" in headers:
        wait = math.ceil(int(headers["retry-after-ms"]) / 1000)
    wait_s = int(wait) if kind is ProviderRateLimited and wait is not None else None
    return Expected(error=ExpectedError(kind, kind.status, None if code is None else str(code), wait_s))
