"""The simulated Cohere API, byte by byte."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.simulators.process import KEY, Simulator

ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


def ask(simulator: Simulator, text: str = "Hello", **members: Any) -> httpx.Response:
    body = {"model": "command-a-03-2025", "messages": [{"role": "user", "content": text}], **members}
    return simulator.http.post("/cohere/v2/chat", json=body, headers={"authorization": f"Bearer {KEY}"})


def events(answer: httpx.Response) -> list[Any]:
    blocks = [block.splitlines() for block in answer.text.strip().split("\n\n")]
    assert blocks.pop() == ["data: [DONE]"]
    told = [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]
    assert all(name == event["type"] for name, event in told)
    return [event for _, event in told]


def test_reply_and_stream_agree(simulator: Simulator) -> None:
    whole = ask(simulator).json()
    assert whole["message"] == {"role": "assistant", "content": [{"type": "text", "text": "You said: Hello"}]}
    assert whole["usage"] == {
        "billed_units": {"input_tokens": 4, "output_tokens": 3},
        "tokens": {"input_tokens": 64, "output_tokens": 3},
        "cached_tokens": 0,
    }
    told = events(ask(simulator, stream=True))
    assert [event["type"] for event in told] == [
        *("message-start", "content-start", "content-delta", "content-delta", "content-delta", "content-end"),
        "message-end",
    ]
    pieces = [event["delta"]["message"]["content"]["text"] for event in told[2:5]]
    assert "".join(pieces) == "You said: Hello"
    assert told[-1]["delta"] == {"finish_reason": "COMPLETE", "usage": whole["usage"]}


def test_tool_calls_and_results(simulator: Simulator) -> None:
    question = 'call add {"a": 1}\ncall add {"a": 2}'
    whole = ask(simulator, question, tools=[ADD]).json()["message"]
    assert whole["tool_plan"] == "I will call add and add."
    assert [call["function"]["arguments"] for call in whole["tool_calls"]] == ['{"a": 1}', '{"a": 2}']
    told = events(ask(simulator, question, tools=[ADD], stream=True))
    plan = [event["delta"]["message"]["tool_plan"] for event in told if event["type"] == "tool-plan-delta"]
    assert "".join(plan) == whole["tool_plan"]
    begun = [event["index"] for event in told if event["type"] == "tool-call-start"]
    assert begun == [0, 1]
    turns = [
        {"role": "user", "content": question},
        {"role": "assistant", "tool_plan": "I will.", "tool_calls": whole["tool_calls"]},
        *(
            {"role": "tool", "tool_call_id": call["id"], "content": [{"type": "document", "document": {"data": "3"}}]}
            for call in whole["tool_calls"]
        ),
    ]
    assert ask(simulator, messages=turns, tools=[ADD]).json()["message"]["content"][0]["text"] == "Tool said: 3 3"


def test_thinking_schema_and_limits(simulator: Simulator) -> None:
    whole = ask(simulator, thinking={"type": "enabled"}).json()
    assert [part["type"] for part in whole["message"]["content"]] == ["thinking", "text"]
    assert whole["usage"]["tokens"]["reasoning_tokens"] == 2
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    shaped = ask(simulator, response_format={"type": "json_object", "json_schema": schema}).json()
    assert json.loads(shaped["message"]["content"][0]["text"]) == {"a": 1}
    assert ask(simulator, max_tokens=1).json()["finish_reason"] == "MAX_TOKENS"
    assert ask(simulator, stop_sequences=[" said"]).json()["finish_reason"] == "STOP_SEQUENCE"


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"p": 1}, 400),
        ({"frequency_penalty": -1}, 400),
        ({"top_p": 0.5}, 422),
        ({"model": "does-not-exist"}, 404),
        ({"messages": []}, 400),
        ({"tool_choice": "auto"}, 400),
        ({"tools": [ADD], "response_format": {"type": "json_object"}}, 400),
        ({"stop_sequences": ["1", "2", "3", "4", "5", "6"]}, 400),
    ],
)
def test_refusals(simulator: Simulator, members: Any, status: int) -> None:
    answer = ask(simulator, **members)
    assert answer.status_code == status
    assert set(answer.json()) == {"id", "message"}


def test_faults(simulator: Simulator) -> None:
    limited = ask(simulator, "Hello [[status=429 retry_after=2]]")
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "2")
    broken = ask(simulator, "Hello [[error_after=1]]", stream=True).text
    assert '"finish_reason":"ERROR"' in broken
    assert ask(simulator, "Hello [[finish=filter]]").json()["finish_reason"] == "ERROR_TOXIC"
