"""How a recorded exchange with Cohere's chat API reads."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import msgspec

from gateway.model.chat import ChatCall
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage
from tests.providers.inverse.expected import Allowance, Expected, ExpectedCall, ExpectedChoice, parsed

Members = dict[str, Any]

ALLOWED: dict[str, Allowance] = {}

SAME_NAME = ("max_tokens", "stream", "tools", "temperature", "seed")
READ_ELSEWHERE = {*SAME_NAME, "model", "messages", "tool_choice"}
FINISH = {"COMPLETE": "stop", "TOOL_CALL": "tool_calls"}


def call_from(recording: Members) -> ChatCall:
    body = recording["request"]["body"]
    call: Members = {name: body[name] for name in SAME_NAME if name in body}
    call |= {"model": body["model"], "messages": [_message(message) for message in body["messages"]]}
    if "tool_choice" in body:
        call["tool_choice"] = body["tool_choice"].lower()
    if options := {name: value for name, value in body.items() if name not in READ_ELSEWHERE}:
        call["provider_options"] = {"cohere": options}
    return msgspec.convert(call, ChatCall)


def _message(recorded: Members) -> Members:
    message = dict(recorded)
    if "tool_plan" in message:
        message["reasoning_details"] = [{"type": "cohere.tool_plan", "tool_plan": message.pop("tool_plan")}]
    if message["role"] == "tool" and isinstance(message["content"], list):
        message["content"] = [_document(block["document"]) for block in message["content"]]
    return message


def _document(document: Members) -> Members:
    data = b64encode(json.dumps(document["data"]).encode()).decode()
    name = {"name": document["id"]} if "id" in document else {}
    return {"type": "document", "url": f"data:application/json;base64,{data}", **name}


def expected(recording: Members) -> Expected:
    answer = recording["response"]
    whole = answer["body"] if "body" in answer else _assembled(answer["sse"])
    message = whole["message"]
    content = message.get("content") or []
    said = "".join(part["text"] for part in content if part["type"] == "text")
    thought = "".join(part["thinking"] for part in content if part["type"] == "thinking")
    choice = ExpectedChoice(
        text=said,
        reasoning=thought + message.get("tool_plan", ""),
        tool_calls=tuple(
            ExpectedCall(call["id"], call["function"]["name"], parsed(call["function"]["arguments"]))
            for call in message.get("tool_calls") or ()
        ),
        finish_reason=FINISH[whole["finish_reason"]],
    )
    return Expected(choices=(choice,), usage=_usage(whole["usage"]))


def _assembled(sse: str) -> Members:
    """These streams have one part of text."""
    lines = [line.removeprefix("data:").strip() for line in sse.splitlines() if line.startswith("data:")]
    events = [json.loads(line) for line in lines if line != "[DONE]"]
    pieces = [event["delta"]["message"]["content"]["text"] for event in events if event["type"] == "content-delta"]
    return {"message": {"content": [{"type": "text", "text": "".join(pieces)}]}, **events[-1]["delta"]}


def _usage(figures: Members) -> TokenUsage:
    tokens = figures["tokens"]
    return TokenUsage(
        prompt_tokens=tokens["input_tokens"],
        completion_tokens=tokens["output_tokens"],
        prompt=PromptTokensDetails(cached_tokens=figures["cached_tokens"]),
        completion=CompletionTokensDetails(reasoning_tokens=tokens.get("reasoning_tokens", 0)),
        billed_prompt_tokens=figures["billed_units"]["input_tokens"],
        billed_completion_tokens=figures["billed_units"]["output_tokens"],
    )
