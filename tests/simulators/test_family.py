"""The OpenAI family: what all share, driven by the official SDK, and what each provider does its own way."""

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import openai
import pytest

from local.simulators.app import APIS
from local.simulators.providers.chat import ChatApi
from tests.simulators.process import KEY, Simulator

FAMILY = {api.name: api for api in APIS if isinstance(api, ChatApi)}
ADD: Any = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    },
}


def events(text: str) -> list[Any]:
    """The JSON events of a stream, without comments and [DONE]."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [msgspec.json.decode(line) for line in lines if line != "[DONE]"]


@pytest.fixture(params=sorted(FAMILY))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(simulator: Simulator, name: str) -> Iterator[openai.OpenAI]:
    base_url = f"{simulator.url}{FAMILY[name].prefix}"
    with openai.OpenAI(base_url=base_url, api_key=KEY, max_retries=0) as client:
        yield client


def ask(client: openai.OpenAI, text: str, **fields: Any) -> Any:
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}], **fields)


def test_reply_and_stream_agree(client: openai.OpenAI, name: str) -> None:
    whole = ask(client, "Hello")
    fields = {} if name == "mistral" else {"stream_options": {"include_usage": True}}
    chunks = list(ask(client, "Hello", stream=True, **fields))
    assert whole.choices[0].message.content == "You said: Hello"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "You said: Hello"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    last = [chunk.usage for chunk in chunks if chunk.usage][-1]
    assert last.model_dump() == whole.usage.model_dump()
    assert (last.prompt_tokens, last.completion_tokens, last.total_tokens) == (4, 3, 7)


def test_tool_calls_agree(client: openai.OpenAI) -> None:
    question = 'call add {"a": 11111111}\ncall add {"a": 2}'
    whole = ask(client, question, tools=[ADD]).choices[0]
    built: dict[int, str] = {}
    for chunk in ask(client, question, tools=[ADD], stream=True):
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or []:
                built[call.index] = built.get(call.index, "") + (call.function.arguments or "")
    assert [call.function.arguments for call in whole.message.tool_calls] == list(built.values())
    assert list(built.values()) == ['{"a": 11111111}', '{"a": 2}']
    assert whole.finish_reason == "tool_calls"


def test_cached_and_reasoning_tokens(client: openai.OpenAI, name: str) -> None:
    text = "Hello [[prompt_tokens=1200 cached_tokens=1000 reasoning_tokens=30]]"
    counts = ask(client, text).usage.model_dump()
    details = counts.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens", counts.get("cached_tokens"))
    assert cached == (None if name in ("ollama", "perplexity") else 1000)
    assert counts["total_tokens"] == 1233
    assert counts["completion_tokens"] == (3 if name == "xai" else 33)


def test_no_usage_on_demand(client: openai.OpenAI) -> None:
    assert ask(client, "Hello [[usage=none]]").usage is None
    assert all(chunk.usage is None for chunk in ask(client, "Hello [[usage=none]]", stream=True))


def test_usage_in_a_stream_is_unasked_only_where_the_provider_does_so(client: openai.OpenAI, name: str) -> None:
    chunks = list(ask(client, "Hello", stream=True))
    unasked = {"mistral", "fireworks", "perplexity", "cerebras"}
    assert any(chunk.usage for chunk in chunks) == (name in unasked)


def test_models(client: openai.OpenAI, name: str) -> None:
    assert [model.id for model in client.models.list()] == list(FAMILY[name].models)


@pytest.mark.parametrize(
    ("provider", "field"),
    [
        ("deepseek", "reasoning_content"),
        ("xai", "reasoning_content"),
        ("fireworks", "reasoning_content"),
        ("vllm", "reasoning_content"),
        ("groq", "reasoning"),
        ("openrouter", "reasoning"),
        ("together", "reasoning"),
        ("cerebras", "reasoning"),
        ("ollama", "reasoning"),
    ],
)
def test_reasoning_field(simulator: Simulator, provider: str, field: str) -> None:
    prefix = FAMILY[provider].prefix
    whole = simulator.chat(prefix, "Hello", reasoning_effort="high").json()
    assert whole["choices"][0]["message"][field] == "Considering: Hello"
    stream = events(simulator.chat(prefix, "Hello", reasoning_effort="high", stream=True).text)
    deltas = [choice["delta"] for event in stream for choice in event["choices"]]
    assert "".join(delta.get(field) or "" for delta in deltas) == "Considering: Hello"


def test_mistral_reasoning_is_a_content_part(simulator: Simulator) -> None:
    content = simulator.chat("/mistral/v1", "Hello", prompt_mode="reasoning").json()["choices"][0]["message"]["content"]
    assert [part["type"] for part in content] == ["thinking", "text"]
    assert content[0]["thinking"][0]["text"] == "Considering: Hello"


@pytest.mark.parametrize(
    ("prefix", "members"),
    [
        ("/perplexity", {"model": "sonar-reasoning-pro"}),
        ("/perplexity", {"model": "sonar-reasoning-pro", "n": 2}),
        ("/groq/openai/v1", {"model": "qwen/qwen3-32b"}),
        ("/together/v1", {"model": "deepseek-ai/DeepSeek-R1"}),
        ("/groq/openai/v1", {"model": "qwen/qwen3-32b", "reasoning_format": "raw"}),
    ],
)
def test_some_think_within_the_content(simulator: Simulator, prefix: str, members: dict[str, Any]) -> None:
    whole = simulator.chat(prefix, "Hello", **members).json()
    said = [choice["message"]["content"] for choice in whole["choices"]]
    assert said == ["<think>\nConsidering: Hello\n</think>\n\nYou said: Hello"] * len(said)
    stream = events(simulator.chat(prefix, "Hello", **members, stream=True).text)
    deltas = [choice["delta"] for event in stream for choice in event["choices"] if choice["index"] == 0]
    assert "".join(delta.get("content") or "" for delta in deltas) == said[0]


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"reasoning_format": "parsed"}, 200),
        ({"reasoning_format": "raw", "response_format": {"type": "json_object"}}, 400),
        ({"reasoning_format": "parsed", "include_reasoning": True}, 400),
        ({"reasoning_effort": "low"}, 400),
        ({"reasoning_effort": "none"}, 200),
    ],
)
def test_groq_checks_how_it_is_told_to_reason(simulator: Simulator, members: dict[str, Any], status: int) -> None:
    reply = simulator.chat("/groq/openai/v1", "Hello", model="qwen/qwen3-32b", **members)
    assert reply.status_code == status
    if status == 200:
        assert reply.json()["choices"][0]["message"]["content"] == "You said: Hello"


@pytest.mark.parametrize(
    ("members", "reasons"),
    [({}, True), ({"reasoning": {"enabled": True}}, True), ({"reasoning": {"enabled": False}}, False)],
)
def test_together_has_a_switch(simulator: Simulator, members: dict[str, Any], reasons: bool) -> None:
    whole = simulator.chat("/together/v1", "Hello", model="moonshotai/Kimi-K2.6", **members).json()
    assert ("reasoning" in whole["choices"][0]["message"]) is reasons


def test_deepseek_v4_reasons_unless_told_not_to(simulator: Simulator) -> None:
    reasons = simulator.chat("/deepseek", "Hello", model="deepseek-v4-flash").json()
    quiet = simulator.chat("/deepseek", "Hello", model="deepseek-v4-flash", thinking={"type": "disabled"}).json()
    assert reasons["usage"]["completion_tokens_details"]["reasoning_tokens"] == 2
    assert "reasoning_content" not in quiet["choices"][0]["message"]


CALLED = {"role": "assistant", "content": "", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "1"}
USER, SAID = {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Yes"}


@pytest.mark.parametrize(
    ("messages", "members", "status"),
    [
        ([USER, CALLED, RESULT], {}, 400),
        ([USER, {**CALLED, "reasoning_content": ""}, RESULT], {}, 400),
        ([USER, {**CALLED, "reasoning_content": "Hm"}, RESULT], {}, 200),
        ([USER, {**CALLED, "reasoning_content": "Hm"}, RESULT, SAID, USER], {}, 400),
        ([USER, SAID, USER], {}, 200),
        ([USER, CALLED, RESULT], {"thinking": {"type": "disabled"}}, 200),
        ([USER, CALLED, RESULT], {"model": "deepseek-chat"}, 200),
    ],
)
def test_deepseek_wants_its_reasoning_back(
    simulator: Simulator, messages: list[dict[str, Any]], members: dict[str, Any], status: int
) -> None:
    asked = {"model": "deepseek-v4-pro", "messages": messages, **members}
    reply = simulator.chat("/deepseek", "", **asked)
    assert reply.status_code == status


# -- streams, byte by byte ------------------------------------------------------------------------------------------


def stream_text(simulator: Simulator, provider: str, **fields: Any) -> str:
    return simulator.chat(FAMILY[provider].prefix, "Hello", stream=True, **fields).text


def test_openrouter_begins_with_a_comment_and_ends_with_usage_beside_a_choice(simulator: Simulator) -> None:
    text = stream_text(simulator, "openrouter", stream_options={"include_usage": True})
    assert text.startswith(": OPENROUTER PROCESSING\n\n")
    last = events(text)[-1]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["cost"] > 0


def test_groq_repeats_usage_under_its_own_name(simulator: Simulator) -> None:
    found = events(stream_text(simulator, "groq"))
    assert found[-1]["x_groq"]["usage"]["total_tokens"] == 7
    assert "usage" not in found[-1]


def test_perplexity_repeats_the_text_and_sends_no_done(simulator: Simulator) -> None:
    text = stream_text(simulator, "perplexity")
    found = events(text)
    assert "[DONE]" not in text
    said = [event["choices"][0]["message"]["content"] for event in found]
    assert said == ["You", "You said:", "You said: Hello", "You said: Hello"]
    assert found[-1]["object"] == "chat.completion.done"
    assert all(event["citations"] for event in found)


def test_xai_names_no_finish_reason_before_the_end(simulator: Simulator) -> None:
    found = events(stream_text(simulator, "xai"))
    assert ["finish_reason" in event["choices"][0] for event in found] == [False, False, False, True]


@pytest.mark.parametrize("provider", sorted(set(FAMILY) - {"perplexity"}))
def test_streams_end_with_done(simulator: Simulator, provider: str) -> None:
    assert stream_text(simulator, provider).endswith("data: [DONE]\n\n")


# -- errors ---------------------------------------------------------------------------------------------------------

OPENAI_LIKE = ["error", "code"]
WRONG_KEY: dict[str, tuple[int, list[str], Any]] = {
    "openai": (401, OPENAI_LIKE, "invalid_api_key"),
    "mistral": (401, ["detail"], "Invalid API Key"),
    "groq": (401, OPENAI_LIKE, "invalid_api_key"),
    "deepseek": (401, ["error", "type"], "authentication_error"),
    "xai": (400, ["code"], "invalid-argument"),
    "together": (401, OPENAI_LIKE, "invalid_api_key"),
    "fireworks": (401, OPENAI_LIKE, "UNAUTHORIZED"),
    "openrouter": (401, OPENAI_LIKE, 401),
    "cerebras": (401, ["code"], "wrong_api_key"),
    "ollama": (401, ["error", "type"], "api_error"),
    "vllm": (401, ["error"], "Unauthorized"),
}
UNKNOWN_MODEL: dict[str, tuple[int, list[str], Any]] = {
    "openai": (404, OPENAI_LIKE, "model_not_found"),
    "mistral": (400, ["type"], "invalid_model"),
    "groq": (404, OPENAI_LIKE, "model_not_found"),
    "deepseek": (400, OPENAI_LIKE, "invalid_request_error"),
    "xai": (404, ["code"], "not-found"),
    "together": (404, OPENAI_LIKE, "model_not_available"),
    "fireworks": (404, OPENAI_LIKE, "NOT_FOUND"),
    "openrouter": (400, OPENAI_LIKE, 400),
    "perplexity": (400, ["error", "type"], "invalid_model"),
    "cerebras": (404, ["code"], "model_not_found"),
    "ollama": (404, ["error", "type"], "not_found_error"),
    "vllm": (404, ["error", "type"], "NotFoundError"),
}
RATE_LIMITED: dict[str, tuple[list[str], Any]] = {
    "openai": (OPENAI_LIKE, "rate_limit_exceeded"),
    "mistral": (["type"], "rate_limited"),
    "groq": (OPENAI_LIKE, "rate_limit_exceeded"),
    "deepseek": (["error", "type"], "rate_limit_error"),
    "xai": (["code"], "resource-exhausted"),
    "together": (OPENAI_LIKE, "rate_limit_exceeded"),
    "fireworks": (OPENAI_LIKE, "RATE_LIMIT_EXCEEDED"),
    "openrouter": (OPENAI_LIKE, 429),
    "perplexity": (OPENAI_LIKE, 429),
    "cerebras": (["type"], "too_many_requests_error"),
    "ollama": (["error", "type"], "api_error"),
    "vllm": (OPENAI_LIKE, 429),
}
IGNORES_UNKNOWN = {"deepseek", "xai", "together", "openrouter", "perplexity", "huggingface", "ollama", "vllm"}
UNPROCESSABLE = {"mistral", "cerebras"}


def field(body: Any, path: list[str]) -> Any:
    for step in path:
        body = body[step]
    return body


@pytest.mark.parametrize("provider", sorted(WRONG_KEY))
def test_wrong_key(simulator: Simulator, provider: str) -> None:
    status, path, value = WRONG_KEY[provider]
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"authorization": "Bearer sim-invalid"}
    reply = simulator.http.post(f"{FAMILY[provider].prefix}/chat/completions", json=body, headers=headers)
    assert (reply.status_code, field(reply.json(), path)) == (status, value)


def test_perplexity_refuses_a_key_in_html(simulator: Simulator) -> None:
    reply = simulator.http.get("/perplexity/models", headers={"authorization": "Bearer sim-invalid"})
    assert (reply.status_code, reply.headers["content-type"]) == (401, "text/html")


def test_no_key(simulator: Simulator, name: str) -> None:
    reply = simulator.http.get(f"{FAMILY[name].prefix}/models")
    assert reply.status_code == (200 if name in ("ollama", "vllm") else 401)


@pytest.mark.parametrize("provider", sorted(UNKNOWN_MODEL))
def test_unknown_model(simulator: Simulator, provider: str) -> None:
    status, path, value = UNKNOWN_MODEL[provider]
    reply = simulator.chat(FAMILY[provider].prefix, "Hi", model="does-not-exist")
    assert (reply.status_code, field(reply.json(), path)) == (status, value)


@pytest.mark.parametrize("provider", sorted(RATE_LIMITED))
def test_rate_limit(simulator: Simulator, provider: str) -> None:
    path, value = RATE_LIMITED[provider]
    reply = simulator.chat(FAMILY[provider].prefix, "Hi [[status=429 retry_after=3]]")
    assert (reply.status_code, field(reply.json(), path)) == (429, value)
    assert reply.headers["retry-after"] == "3"


def test_unknown_parameter(simulator: Simulator, name: str) -> None:
    status = simulator.chat(FAMILY[name].prefix, "Hi", nonsense=1).status_code
    expected = 200 if name in IGNORES_UNKNOWN else 422 if name in UNPROCESSABLE else 400
    assert status == expected


def test_out_of_range_and_empty(simulator: Simulator, name: str) -> None:
    expected = 422 if name in UNPROCESSABLE else 400
    assert simulator.chat(FAMILY[name].prefix, "Hi", temperature=9).status_code == expected
    assert simulator.chat(FAMILY[name].prefix, "Hi", messages=[]).status_code == expected


def test_mistral_names_the_offending_field(simulator: Simulator) -> None:
    body = simulator.chat("/mistral/v1", "Hi", max_completion_tokens=5).json()
    violation = body["message"]["detail"][0]
    assert (violation["type"], violation["loc"]) == ("extra_forbidden", ["body", "max_completion_tokens"])


def test_failure_inside_a_stream(simulator: Simulator, name: str) -> None:
    found = events(simulator.chat(FAMILY[name].prefix, "Hello [[error_after=1 status=502]]", stream=True).text)
    assert found[-1].get("object") == "error" or "error" in found[-1]
    texts = [choice["delta"].get("content") for event in found for choice in event.get("choices", ())]
    assert "".join(text or "" for text in texts) == "You"


def test_perplexity_works_in_the_background(simulator: Simulator) -> None:
    def told(switches: str) -> Any:
        messages = [{"role": "user", "content": f"Hello [[{switches}]]"}]
        asked = {"request": {"model": "sonar-deep-research", "messages": messages}}
        begun = httpx.post(url, json=asked, headers=headers).raise_for_status().json()
        return begun, httpx.get(f"{url}/{begun['id']}", headers=headers)

    url, headers = f"{simulator.url}/perplexity/async/chat/completions", {"authorization": f"Bearer {KEY}"}
    begun, looked = told("works_s=60")
    assert (begun["status"], begun["response"], looked.json()["status"]) == ("CREATED", None, "CREATED")
    _, looked = told("works_s=0")
    assert looked.json()["status"] == "COMPLETED"
    assert looked.json()["response"]["choices"][0]["message"]["content"].endswith("You said: Hello")
    assert told("works_s=0 works=failed")[1].json()["status"] == "FAILED"
    assert told("works_s=0 works=gone")[1].status_code == 404
