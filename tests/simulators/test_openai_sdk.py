"""The simulated OpenAI, driven by the unmodified official SDK."""

from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from tests.simulators.process import Simulator

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
ADD: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    },
}


def ask(client: openai.OpenAI, text: str, **fields: Any) -> Any:
    return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}], **fields)


def test_chat_echoes_and_counts(openai_client: openai.OpenAI) -> None:
    reply = ask(openai_client, "Hello")
    assert reply.choices[0].message.content == "You said: Hello"
    assert reply.choices[0].finish_reason == "stop"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (4, 3, 7)
    assert reply.model.startswith("gpt-4o-2")
    assert reply._request_id.startswith("req_sim")


def test_stream_has_usage_only_when_asked(openai_client: openai.OpenAI) -> None:
    plain = list(ask(openai_client, "Hello", stream=True))
    asked = list(ask(openai_client, "Hello", stream=True, stream_options={"include_usage": True}))
    for chunks in (plain, asked):
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "You said: Hello"
    assert all(chunk.usage is None and chunk.choices for chunk in plain)
    assert asked[-1].choices == []
    assert asked[-1].usage.total_tokens == 7


def test_every_word_is_one_chunk(openai_client: openai.OpenAI) -> None:
    texts = [c.choices[0].delta.content for c in ask(openai_client, "one two", stream=True)]
    assert texts == ["", "You", " said:", " one", " two", None]


def test_choices(openai_client: openai.OpenAI) -> None:
    reply = ask(openai_client, "Hello", n=3)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert reply.usage.completion_tokens == 9


def test_max_tokens_and_stop(openai_client: openai.OpenAI) -> None:
    cut = ask(openai_client, "one two three", max_tokens=3).choices[0]
    assert (cut.message.content, cut.finish_reason) == ("You said: one", "length")
    stopped = ask(openai_client, "one two three", stop=["three", "two"]).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == ("You said: one ", "stop")


def test_parallel_tool_calls_and_their_results(openai_client: openai.OpenAI) -> None:
    question = 'call add {"a": 1}\ncall add {"a": 2}'
    message = ask(openai_client, question, tools=[ADD]).choices[0].message
    calls = [(call.function.name, call.function.arguments) for call in message.tool_calls]
    assert calls == [("add", '{"a": 1}'), ("add", '{"a": 2}')]
    results: list[ChatCompletionMessageParam] = [
        {"role": "tool", "tool_call_id": call.id, "content": f"result {at}"}
        for at, call in enumerate(message.tool_calls)
    ]
    turns: list[ChatCompletionMessageParam] = [{"role": "user", "content": question}, message, *results]
    reply = openai_client.chat.completions.create(model="gpt-4o", messages=turns, tools=[ADD])
    assert reply.choices[0].message.content == "Tool said: result 0 result 1"


def test_streamed_tool_call_comes_in_fragments(openai_client: openai.OpenAI) -> None:
    with openai_client.chat.completions.stream(
        model="gpt-4o", messages=[{"role": "user", "content": 'call add {"a": 12345678}'}], tools=[ADD]
    ) as stream:
        fragments = [event.arguments_delta for event in stream if event.type == "tool_calls.function.arguments.delta"]
        final = stream.get_final_completion().choices[0]
    assert "".join(fragments) == '{"a": 12345678}'
    assert len(fragments) > 1
    assert final.finish_reason == "tool_calls"


def test_forced_tool_gets_minimal_arguments(openai_client: openai.OpenAI) -> None:
    reply = ask(openai_client, "Hello", tools=[ADD], tool_choice="required")
    assert reply.choices[0].message.tool_calls[0].function.arguments == '{"a":1}'
    assert ask(openai_client, 'call add {"a": 1}', tools=[ADD], tool_choice="none").choices[0].finish_reason == "stop"


class City(BaseModel):
    name: str
    population: int
    twin: "City | None" = None


def test_structured_output(openai_client: openai.OpenAI) -> None:
    reply = openai_client.chat.completions.parse(model="gpt-4o", messages=HELLO, response_format=City)
    assert reply.choices[0].message.parsed
    assert reply.choices[0].message.parsed.population == 1


def test_reasoning_is_counted_and_hidden(openai_client: openai.OpenAI) -> None:
    reply = openai_client.chat.completions.create(model="gpt-5", messages=HELLO, reasoning_effort="high")
    assert reply.usage
    assert reply.usage.completion_tokens_details
    assert reply.usage.completion_tokens_details.reasoning_tokens == 2
    assert reply.usage.completion_tokens == 5
    assert not hasattr(reply.choices[0].message, "reasoning_content")


def test_media_parts_are_noted(openai_client: openai.OpenAI) -> None:
    parts: Any = [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAAAA=="}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]
    reply = openai_client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": parts}])
    notes = "[image image/png 4 bytes] [image url https://example.com/a.png] [audio audio/wav 3 bytes]"
    assert reply.choices[0].message.content == f"You said: See {notes}"


def test_models_and_responses(openai_client: openai.OpenAI) -> None:
    assert "gpt-4o" in [model.id for model in openai_client.models.list()]
    assert openai_client.responses.create(model="gpt-4o", input="Hello").output_text == "You said: Hello"
    with openai_client.responses.stream(model="gpt-4o", input="Hello") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert deltas == ["You", " said:", " Hello"]
    assert final.usage
    assert final.usage.output_tokens == 3


def test_responses_call_functions_and_reason_encrypted(openai_client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "gpt-5",
        "tools": [{"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": False}],
        "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    question: Any = {"role": "user", "content": 'call add {"a": 1}\ncall add {"a": 2}'}
    whole = openai_client.responses.create(input=[question], **asked)
    with openai_client.responses.stream(input=[question], **asked) as stream:
        streamed = stream.get_final_response()
    for response in (whole, streamed):
        reasoning, *calls = [item.to_dict() for item in response.output]
        assert reasoning["type"] == "reasoning"
        assert reasoning["encrypted_content"]
        assert [call["arguments"] for call in calls] == ['{"a": 1}', '{"a": 2}']
    items = [item.to_dict() for item in whole.output]
    outputs = [
        {"type": "function_call_output", "call_id": i["call_id"], "output": "3"} for i in items if "call_id" in i
    ]
    history = [question, *items, *outputs]
    assert openai_client.responses.create(input=history, **asked).output_text == "Tool said: 3 3"
    for broken in (history[:-1], [question, *items[1:2], *outputs], [question, items[0]]):
        with pytest.raises(openai.BadRequestError):
            openai_client.responses.create(input=broken, **asked)


def test_a_demanded_schema_is_obeyed(openai_client: openai.OpenAI) -> None:
    demand = 'Obey this JSON Schema:\n{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}'
    messages: list[Any] = [{"role": "system", "content": demand}, {"role": "user", "content": "Hello"}]
    reply = openai_client.chat.completions.create(model="gpt-4o", messages=messages)
    assert reply.choices[0].message.content == '{"a":1}'
    messages[0]["content"] = demand + " or not"
    reply = openai_client.chat.completions.create(model="gpt-4o", messages=messages)
    assert reply.choices[0].message.content == "You said: Hello"


@pytest.mark.parametrize(
    ("fields", "error", "param", "code"),
    [
        ({"model": "does-not-exist"}, openai.NotFoundError, "model", "model_not_found"),
        ({"messages": []}, openai.BadRequestError, "messages", "empty_array"),
        ({"temperature": 3}, openai.BadRequestError, "temperature", "decimal_above_max_value"),
        ({"temperature": "hot"}, openai.BadRequestError, "temperature", "invalid_type"),
        ({"max_tokens": 0}, openai.BadRequestError, "max_tokens", "integer_below_min_value"),
        ({"max_tokens": 999_999}, openai.BadRequestError, "max_tokens", "invalid_value"),
        ({"messages": [{"role": "king", "content": "x"}]}, openai.BadRequestError, "messages[0].role", "invalid_value"),
        ({"extra_body": {"nonsense": 1}}, openai.BadRequestError, "nonsense", "unknown_parameter"),
        ({"model": "o3-mini", "max_tokens": 5}, openai.BadRequestError, "max_tokens", "unsupported_parameter"),
        (
            {"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]},
            openai.BadRequestError,
            "messages[0].role",
            "invalid_value",
        ),
    ],
)
def test_refusals(
    openai_client: openai.OpenAI, fields: dict[str, Any], error: type[openai.APIStatusError], param: str, code: str
) -> None:
    request: Any = {"model": "gpt-4o", "messages": HELLO} | fields
    with pytest.raises(error) as raised:
        openai_client.chat.completions.create(**request)
    assert (raised.value.param, raised.value.code) == (param, code)


@pytest.mark.parametrize("key", ["sim-invalid", "sk-other"])
def test_wrong_key(openai_client: openai.OpenAI, key: str) -> None:
    with pytest.raises(openai.AuthenticationError) as raised:
        openai_client.with_options(api_key=key).chat.completions.create(model="gpt-4o", messages=HELLO)
    assert raised.value.code == "invalid_api_key"


def test_rate_limit_carries_retry_after(simulator: Simulator, openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as raised:
        ask(openai_client, "Hello [[status=429 retry_after=2]]")
    assert raised.value.response.headers["retry-after"] == "2"
    assert simulator.last("openai")["status"] == 429
    with pytest.raises(openai.RateLimitError) as quota:
        ask(openai_client, "Hello [[status=429 code=insufficient_quota]]")
    assert quota.value.code == "insufficient_quota"


def test_responses_in_the_background(openai_client: openai.OpenAI) -> None:
    responses = openai_client.responses
    begun = responses.create(model="o3-pro", input="Hello [[works_s=60]]", background=True)
    assert (begun.status, begun.output) == ("queued", [])
    assert responses.retrieve(begun.id).status == "queued"
    assert [responses.cancel(begun.id).status for _ in range(2)] == ["cancelled"] * 2
    done = responses.create(model="o3-pro", input="Hello [[works_s=0]]", background=True)
    assert responses.retrieve(done.id, include=["reasoning.encrypted_content"]).output_text == "You said: Hello"
    assert responses.cancel(done.id).status == "completed"
    failed = responses.create(model="o3-pro", input="Hello [[works_s=0 works=failed]]", background=True)
    assert responses.retrieve(failed.id).status == "failed"
    gone = responses.create(model="o3-pro", input="Hello [[works_s=0 works=gone]]", background=True)
    with pytest.raises(openai.NotFoundError):
        responses.retrieve(gone.id)
