"""The simulated Anthropic, driven by the unmodified official SDK."""

from typing import Any

import anthropic
import pytest

from tests.simulators.process import KEY, Simulator

MODEL = "claude-sonnet-5"
OLD_VERSION = {"anthropic-version": "2023-06-01"}
ADD: Any = {
    "name": "add",
    "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}


def ask(client: anthropic.Anthropic, content: Any, **fields: Any) -> Any:
    request: Any = {"model": MODEL, "max_tokens": 2000, "messages": [{"role": "user", "content": content}]} | fields
    return client.messages.create(**request)


def test_message(anthropic_client: anthropic.Anthropic) -> None:
    reply = ask(anthropic_client, "Hello", system="Be brief.")
    assert [(block.type, block.text) for block in reply.content] == [("text", "You said: Hello")]
    assert (reply.stop_reason, reply.usage.input_tokens, reply.usage.output_tokens) == ("end_turn", 6, 3)


def test_cache_counts_are_beside_input_tokens(anthropic_client: anthropic.Anthropic) -> None:
    usage = ask(anthropic_client, "Hi [[prompt_tokens=1200 cached_tokens=1000 cache_write_tokens=50]]").usage
    counts = (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens)
    assert counts == (150, 1000, 50)


def test_stream_accumulates_to_the_same_message(anthropic_client: anthropic.Anthropic) -> None:
    with anthropic_client.messages.stream(
        model=MODEL, max_tokens=2000, messages=[{"role": "user", "content": "Hello"}]
    ) as stream:
        assert list(stream.text_stream) == ["You", " said:", " Hello"]
        final = stream.get_final_message()
    assert final.usage.output_tokens == 3
    assert final.stop_reason == "end_turn"


def test_event_order(simulator: Simulator) -> None:
    body = {"model": MODEL, "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    text = simulator.http.post("anthropic/v1/messages", json=body, headers=headers).text
    names = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    deltas = ["content_block_delta"] * 3
    assert names == [
        "message_start",
        "content_block_start",
        "ping",
        *deltas,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_thinking_block_is_signed(anthropic_client: anthropic.Anthropic) -> None:
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    reply = ask(anthropic_client, "Hello", thinking=thinking)
    assert [block.type for block in reply.content] == ["thinking", "text"]
    assert reply.content[0].signature
    assert reply.usage.output_tokens == 5
    with anthropic_client.messages.stream(
        model=MODEL, max_tokens=2000, messages=[{"role": "user", "content": "Hello"}], thinking=thinking
    ) as stream:
        final: Any = stream.get_final_message()
    assert final.content[0].thinking == reply.content[0].thinking
    assert final.content[0].signature


def test_tool_use_and_result(anthropic_client: anthropic.Anthropic) -> None:
    question = 'call add {"a": 1}\ncall add {"a": 2}'
    with anthropic_client.messages.stream(
        model=MODEL, max_tokens=100, messages=[{"role": "user", "content": question}], tools=[ADD]
    ) as stream:
        final: Any = stream.get_final_message()
    assert [block.input for block in final.content] == [{"a": 1}, {"a": 2}]
    assert final.stop_reason == "tool_use"
    results = [{"type": "tool_result", "tool_use_id": b.id, "content": f"r{at}"} for at, b in enumerate(final.content)]
    calls = [block.model_dump(exclude_none=True) for block in final.content]
    turns = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": calls},
        {"role": "user", "content": results},
    ]
    assert ask(anthropic_client, "", messages=turns, tools=[ADD]).content[0].text == "Tool said: r0 r1"
    with pytest.raises(anthropic.BadRequestError, match="tool_result"):
        ask(anthropic_client, "", messages=[turns[2]])


def test_structured_output(anthropic_client: anthropic.Anthropic) -> None:
    def asked_for(**name: Any) -> Any:
        properties = {"name": {"type": "string", **name}}
        schema = {"type": "object", "properties": properties, "required": ["name"], "additionalProperties": False}
        return ask(anthropic_client, "Hello", output_config={"format": {"type": "json_schema", "schema": schema}})

    assert asked_for().content[0].text == '{"name":"string"}'
    with pytest.raises(anthropic.BadRequestError, match="minLength"):
        asked_for(minLength=2)


def test_no_tool_is_forced_on_one_that_thinks(anthropic_client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="tool_choice"):
        ask(anthropic_client, "Hello", thinking={"type": "adaptive"}, tools=[ADD], tool_choice={"type": "any"})


def test_stops(anthropic_client: anthropic.Anthropic) -> None:
    stopped = ask(anthropic_client, "one two", stop_sequences=["two"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "two")
    assert ask(anthropic_client, "one two", max_tokens=2).stop_reason == "max_tokens"
    assert ask(anthropic_client, "one [[finish=filter]]").stop_reason == "refusal"


def test_temperature_is_accepted_in_the_old_version(anthropic_client: anthropic.Anthropic) -> None:
    reply = ask(anthropic_client, "Hello", extra_body={"temperature": 0.2}, extra_headers=OLD_VERSION)
    assert reply.stop_reason == "end_turn"


def test_media(anthropic_client: anthropic.Anthropic) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    reply = ask(anthropic_client, [{"type": "text", "text": "See"}, image])
    assert reply.content[0].text == "You said: See [image image/png 3 bytes]"


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"model": "does-not-exist"}, anthropic.NotFoundError, "model: does-not-exist"),
        ({"messages": []}, anthropic.BadRequestError, "messages"),
        ({"extra_body": {"temperature": 1.0}}, anthropic.BadRequestError, "temperature: Extra inputs"),
        (
            {"extra_body": {"temperature": 1.5}, "extra_headers": OLD_VERSION},
            anthropic.BadRequestError,
            "temperature: Invalid",
        ),
        ({"max_tokens": 1_000_000, "timeout": 5}, anthropic.BadRequestError, "max_tokens"),
        ({"extra_body": {"nonsense": 1}}, anthropic.BadRequestError, "nonsense: Extra inputs"),
        ({"messages": [{"role": "system", "content": "x"}]}, anthropic.BadRequestError, "messages"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10}}, anthropic.BadRequestError, "budget_tokens"),
    ],
)
def test_refusals(
    anthropic_client: anthropic.Anthropic,
    fields: dict[str, Any],
    error: type[anthropic.APIStatusError],
    message: str,
) -> None:
    with pytest.raises(error, match=message) as raised:
        ask(anthropic_client, "Hello", **fields)
    body: Any = raised.value.body
    assert body["type"] == "error"
    assert body["request_id"]


def test_headers_are_checked(simulator: Simulator, anthropic_client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.AuthenticationError):
        ask(anthropic_client.with_options(api_key="sim-invalid"), "Hello")
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
    assert simulator.http.post("anthropic/v1/messages", json=body, headers=OLD_VERSION).status_code == 401
    without = simulator.http.post("anthropic/v1/messages", json=body, headers={"x-api-key": KEY})
    assert "anthropic-version" in without.json()["error"]["message"]
    no_limit = simulator.http.post("anthropic/v1/messages", json=body, headers=OLD_VERSION | {"x-api-key": KEY})
    assert (no_limit.status_code, no_limit.json()["error"]["message"]) == (400, "max_tokens: Field required")


def test_overload_before_and_during_a_stream(anthropic_client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.APIStatusError) as raised:
        ask(anthropic_client, "Hello [[status=529]]")
    assert (raised.value.status_code, raised.value.response.headers["x-should-retry"]) == (529, "true")
    stream = ask(anthropic_client, "Hello [[error_after=2 status=529]]", stream=True)
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        list(stream)


def test_models(anthropic_client: anthropic.Anthropic) -> None:
    assert MODEL in [model.id for model in anthropic_client.models.list()]
