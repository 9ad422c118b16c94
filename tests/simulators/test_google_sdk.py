"""The simulated Gemini API, driven by the unmodified official SDK."""

from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from tests.simulators.process import KEY, Simulator

MODEL = "gemini-2.5-flash"
ADD = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="add", parameters_json_schema={"type": "object", "properties": {"a": {"type": "integer"}}}
        )
    ]
)


def ask(client: genai.Client, contents: Any, **config: Any) -> types.GenerateContentResponse:
    return client.models.generate_content(
        model=MODEL, contents=contents, config=types.GenerateContentConfig(**config) if config else None
    )


def usage(reply: types.GenerateContentResponse) -> types.GenerateContentResponseUsageMetadata:
    assert reply.usage_metadata
    return reply.usage_metadata


def finish(reply: types.GenerateContentResponse) -> types.FinishReason | None:
    assert reply.candidates
    return reply.candidates[0].finish_reason


def test_generate(google_client: genai.Client) -> None:
    reply = ask(google_client, "Hello", system_instruction="Be brief.", temperature=0.5)
    assert reply.text == "You said: Hello"
    assert finish(reply) == types.FinishReason.STOP
    counts = usage(reply)
    assert (counts.prompt_token_count, counts.candidates_token_count, counts.total_token_count) == (6, 3, 9)


def test_stream(google_client: genai.Client) -> None:
    chunks = list(google_client.models.generate_content_stream(model=MODEL, contents="Hello"))
    assert [chunk.text for chunk in chunks] == ["You", " said:", " Hello", ""]
    assert finish(chunks[0]) is None
    assert finish(chunks[-1]) == types.FinishReason.STOP
    assert [usage(chunk).candidates_token_count for chunk in chunks] == [1, 2, 3, 3]


def test_stream_without_sse_is_a_json_array(simulator: Simulator) -> None:
    path = f"google/v1beta/models/{MODEL}:streamGenerateContent"
    body = {"contents": [{"parts": [{"text": "Hello"}]}]}
    reply = simulator.http.post(path, json=body, headers={"x-goog-api-key": KEY})
    assert len(reply.json()) == 4
    events = simulator.http.post(f"{path}?alt=sse&key={KEY}", json=body)
    assert events.content.endswith(b"\r\n\r\n")
    assert KEY not in simulator.last("google")["path"]


def test_thoughts(google_client: genai.Client) -> None:
    reply = ask(google_client, "Hello", thinking_config=types.ThinkingConfig(include_thoughts=True))
    assert reply.candidates
    assert reply.candidates[0].content
    parts = reply.candidates[0].content.parts or []
    assert [(part.thought, part.text) for part in parts] == [(True, "Considering: Hello"), (None, "You said: Hello")]
    assert usage(reply).thoughts_token_count == 2
    assert usage(reply).total_token_count == 9
    hidden = ask(google_client, "Hello", thinking_config=types.ThinkingConfig(thinking_budget=0))
    assert usage(hidden).thoughts_token_count is None


def test_function_calls_and_result(google_client: genai.Client) -> None:
    question = 'call add {"a": 1}\ncall add {"a": 2}'
    calls = ask(google_client, question, tools=[ADD]).function_calls or []
    assert [call.args for call in calls] == [{"a": 1}, {"a": 2}]
    turns = [
        types.Content(role="user", parts=[types.Part.from_text(text=question)]),
        types.Content(role="model", parts=[types.Part.from_function_call(name="add", args={"a": 1})]),
        types.Content(role="user", parts=[types.Part.from_function_response(name="add", response={"result": "3"})]),
    ]
    assert ask(google_client, turns, tools=[ADD]).text == "Tool said: 3"


def test_structured_output(google_client: genai.Client) -> None:
    schema = {"type": "OBJECT", "properties": {"tags": {"type": "ARRAY", "minItems": 2, "items": {"type": "STRING"}}}}
    schema["required"] = ["tags"]
    reply = ask(google_client, "Hello", response_mime_type="application/json", response_schema=schema)
    assert reply.text == '{"tags":["string","string"]}'


def test_limits_and_candidates(google_client: genai.Client) -> None:
    assert finish(ask(google_client, "one two", max_output_tokens=2)) == types.FinishReason.MAX_TOKENS
    assert ask(google_client, "one two", stop_sequences=[" two"]).text == "You said: one"
    assert len(ask(google_client, "Hello", candidate_count=2).candidates or []) == 2
    assert finish(ask(google_client, "Hello [[finish=filter]]")) == types.FinishReason.SAFETY


def test_media(google_client: genai.Client) -> None:
    parts = ["See", types.Part.from_bytes(data=b"1234", mime_type="audio/wav")]
    assert ask(google_client, parts).text == "You said: See [audio audio/wav 4 bytes]"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"contents": []}, "INVALID_ARGUMENT", "contents"),
        ({"contents": [{"parts": [{"text": "x"}]}], "nonsense": 1}, "INVALID_ARGUMENT", "nonsense"),
        (
            {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"temperature": 3}},
            "INVALID_ARGUMENT",
            "temperature",
        ),
        (
            {"contents": [{"parts": [{"text": "x"}]}], "generation_config": {"max_output_tokens": 10**6}},
            "INVALID_ARGUMENT",
            "maxOutputTokens",
        ),
        ({"contents": [{"role": "king", "parts": [{"text": "x"}]}]}, "INVALID_ARGUMENT", "contents[0].role"),
    ],
)
def test_refusals(simulator: Simulator, body: dict[str, Any], status: str, field: str) -> None:
    path = f"google/v1beta/models/{MODEL}:generateContent"
    reply = simulator.http.post(path, json=body, headers={"x-goog-api-key": KEY})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["status"]) == (400, 400, status)
    assert error["details"][0]["fieldViolations"][0]["field"] == field


def test_keys_and_models(simulator: Simulator, google_client: genai.Client) -> None:
    body = {"contents": [{"parts": [{"text": "x"}]}]}
    path = f"google/v1beta/models/{MODEL}:generateContent"
    assert simulator.http.post(path, json=body).status_code == 403
    wrong = simulator.http.post(path, json=body, headers={"x-goog-api-key": "sim-invalid"})
    assert (wrong.status_code, wrong.json()["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")
    with pytest.raises(errors.ClientError) as raised:
        google_client.models.generate_content(model="does-not-exist", contents="Hello")
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")
    assert f"models/{MODEL}" in [model.name for model in google_client.models.list()]


def test_rate_limit_says_when_to_retry_in_the_body(google_client: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as raised:
        ask(google_client, "Hello [[status=429 retry_after=2]]")
    assert raised.value.status == "RESOURCE_EXHAUSTED"
    assert raised.value.details["error"]["details"][0]["retryDelay"] == "2s"
    with pytest.raises(errors.ServerError):
        ask(google_client, "Hello [[status=503]]")


@pytest.mark.parametrize(
    ("response", "status"),
    [({"output": '{"$ref": "#/x"}'}, 200), ({"a": [{"$ref": "#/x"}]}, 400), ({"a": "$ref"}, 200)],
)
def test_a_reference_in_a_result_is_to_a_medium(simulator: Simulator, response: dict[str, Any], status: int) -> None:
    result = {"functionResponse": {"name": "add", "response": response}}
    called = {"role": "model", "parts": [{"functionCall": {"name": "add", "args": {}}}]}
    contents = [{"role": "user", "parts": [{"text": "Hi"}]}, called, {"role": "user", "parts": [result]}]
    path = f"google/v1beta/models/{MODEL}:generateContent?key={KEY}"
    assert simulator.http.post(path, json={"contents": contents}).status_code == status
