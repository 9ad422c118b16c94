"""Chat through the unmodified OpenAI SDK, on every provider."""

from __future__ import annotations

import os

import openai
import pytest

from tests.e2e.conftest import Gateway

MODELS = {
    "openai": "openai/gpt-4o-mini",
    "anthropic": "anthropic/claude-haiku-4-5",
    "google": "google/gemini-2.5-flash",
    "azure": "azure/gpt-4o",
    "azure-responses": "azure/gpt-5-pro",
    "azure-claude": "azure/claude-haiku-4-5",
    "vertex": "vertex/gemini-2.5-flash",
    "vertex-claude": "vertex/claude-haiku-4-5@20251001",
    "cohere": "cohere/command-a-03-2025",
    "huggingface": "huggingface/openai/gpt-oss-120b",
    "mistral": "mistral/mistral-small-latest",
    "groq": "groq/llama-3.3-70b-versatile",
    "deepseek": "deepseek/deepseek-chat",
    "xai": "xai/grok-4.3",
    "together": "together/deepseek-ai/DeepSeek-V4-Pro",
    "fireworks": "fireworks/accounts/fireworks/models/deepseek-v4-pro",
    "openrouter": "openrouter/openai/gpt-4o-mini",
    "perplexity": "perplexity/sonar",
    "cerebras": "cerebras/gpt-oss-120b",
    "ollama": "ollama/llama3.2",
    "vllm": "vllm/my-own-model",
}
PROVIDERS = os.environ.get("SMOKE_PROVIDERS", ",".join(MODELS)).split(",")
pytestmark = pytest.mark.stack


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_whole_reply(sdk: openai.OpenAI, gateway: Gateway, provider: str) -> None:
    reply = sdk.chat.completions.create(
        model=MODELS[provider],
        messages=[
            {"role": "system", "content": "Answer with one word."},
            {"role": "user", "content": "Say hello"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "Say it again"},
        ],
        max_tokens=64,
    )
    assert reply.choices[0].message.content
    assert reply.usage is not None
    assert reply.usage.prompt_tokens > 0
    assert reply.model == MODELS[provider]
    if gateway.simulators:
        assert reply.choices[0].message.content == "You said: Say it again"
        assert reply.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream(sdk: openai.OpenAI, gateway: Gateway, provider: str, include_usage: bool) -> None:
    chunks = list(
        sdk.chat.completions.create(
            model=MODELS[provider],
            messages=[{"role": "user", "content": "Say hello"}],
            max_tokens=64,
            stream=True,
            stream_options={"include_usage": True} if include_usage else openai.omit,
        )
    )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    assert bool(chunks[-1].choices) is not include_usage
    if gateway.simulators:
        assert text == "You said: Say hello"


def test_cost_and_report(sdk: openai.OpenAI) -> None:
    reply = sdk.chat.completions.create(
        model="openai/gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}], max_tokens=16
    )
    assert reply.usage is not None
    extra = reply.usage.model_extra or {}
    expected_usd = (reply.usage.prompt_tokens * 0.15 + reply.usage.completion_tokens * 0.60) / 1e6
    assert extra["cost_estimate"] == pytest.approx(expected_usd, abs=2e-9)
    report = (reply.model_extra or {})["gateway"]
    assert report["attempts"][0]["provider"] == "openai"
    assert 0 <= report["overhead_ms"] < report["latency_ms"]


def test_a_model_without_a_price_costs_null_never_zero(sdk: openai.OpenAI, local: Gateway) -> None:
    reply = sdk.chat.completions.create(model="vllm/my-own-model", messages=[{"role": "user", "content": "Hi"}])
    assert reply.usage is not None
    assert (reply.usage.model_extra or {})["cost_estimate"] is None


def test_sampling_parameters_reach_the_provider(sdk: openai.OpenAI, local: Gateway) -> None:
    reply = sdk.chat.completions.create(
        model="openai/gpt-4o-mini",
        messages=[{"role": "user", "content": "one two three four five six seven"}],
        max_tokens=3,
        temperature=0.2,
        top_p=0.9,
        n=2,
        seed=7,
        stop=["xyz"],
    )
    assert len(reply.choices) == 2
    assert {choice.finish_reason for choice in reply.choices} == {"length"}


def test_models_are_listed_and_found(sdk: openai.OpenAI) -> None:
    listed = {model.id: model for model in sdk.models.list()}
    assert set(MODELS.values()) - {"vllm/my-own-model"} <= set(listed)
    found = sdk.models.retrieve("openai/gpt-4o-mini")
    assert found == listed["openai/gpt-4o-mini"]
    assert (found.model_extra or {})["gateway"]["prices_usd_per_million"]["input"] == 0.15


def test_both_users_of_the_demo_tenant_have_a_key(local: Gateway) -> None:
    with openai.OpenAI(base_url=local.http, api_key=local.second_api_key) as client:
        assert client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}]).choices
