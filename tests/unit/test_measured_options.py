"""What limits and budgets measure is not for `provider_options` to change: each provider under its own names."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.images import ImagesCall
from gateway.model.speech import SpeechCall
from gateway.providers.contract import Target
from gateway.providers.lookup import provider_named

CASES = [
    ("openai", "chat_completions", {"max_completion_tokens": 16_000}, "max_completion_tokens"),
    ("openai", "chat_completions", {"max_completion_tokens": None}, "max_completion_tokens"),
    ("openai", "chat_completions", {"n": 100}, "n"),
    ("openai", "chat_completions", {"web_search_options": {}}, "web_search_options"),
    ("openai", "responses", {"max_output_tokens": 16_000}, "max_output_tokens"),
    ("openrouter", "chat_completions", {"plugins": [{"id": "web"}]}, "plugins"),
    ("mistral", "chat_completions", {"max_tokens": 16_000}, "max_tokens"),
    ("anthropic", "messages", {"max_tokens": 16_000}, "max_tokens"),
    ("google", "generate_content", {"generationConfig": {"maxOutputTokens": 9}}, "generationConfig.maxOutputTokens"),
    ("google", "generate_content", {"generationConfig": {"candidateCount": 8}}, "generationConfig.candidateCount"),
    ("google", "generate_content", {"cachedContent": "cachedContents/1"}, "cachedContent"),
    ("bedrock", "converse", {"inferenceConfig": {"maxTokens": 9}}, "inferenceConfig.maxTokens"),
    (
        "bedrock",
        "converse",
        {"additionalModelRequestFields": {"max_tokens": 9}},
        "additionalModelRequestFields.max_tokens",
    ),
    ("cohere", "cohere_chat", {"max_tokens": 9}, "max_tokens"),
    ("anthropic", "messages", {"fallbacks": [{"model": "claude-opus-5-5"}]}, "fallbacks"),
    (
        "google",
        "generate_content",
        {"generationConfig": {"max_output_tokens": 9}},
        "generationConfig.max_output_tokens",
    ),
    ("google", "generate_content", {"generationConfig": {"candidate_count": 8}}, "generationConfig.candidate_count"),
    ("google", "generate_content", {"cached_content": "cachedContents/1"}, "cached_content"),
    ("google", "generate_content", {"generation_config": {"topK": 1}}, "generation_config"),
    ("google", "generate_content", {"responseSchema": {}, "response_schema": {}}, "response_schema"),
    ("openai", "chat_completions", {"maxCompletionTokens": 9}, "maxCompletionTokens"),
]


def render(provider: str, api: str, options: dict[str, Any]) -> None:
    body = {
        "model": f"{provider}/m",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 1,
        "provider_options": {provider: options},
    }
    facts = ModelFacts(id="m", name="M", api=api, max_output_tokens=100)
    target = Target(provider, facts, "https://provider.test", {"region": "us-east-1"})
    provider_named(provider).wires[api].render(msgspec.convert(body, ChatCall), target)


@pytest.mark.parametrize(("provider", "api", "options", "member"), CASES)
def test_a_measured_member_is_refused_by_name(provider: str, api: str, options: dict[str, Any], member: str) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        render(provider, api, options)
    assert refused.value.param == f"provider_options.{provider}.{member}"


@pytest.mark.parametrize(
    ("provider", "api", "member"),
    [("google", "generate_content", "generationConfig"), ("bedrock", "converse", "inferenceConfig")],
)
@pytest.mark.parametrize("value", [None, [], "{}"])
def test_what_holds_the_limit_is_not_replaced_by_something_else(
    provider: str, api: str, member: str, value: Any
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        render(provider, api, {member: value})
    assert refused.value.param == f"provider_options.{provider}.{member}"


IMAGES_BEYOND = [
    {"generationConfig": {"imageConfig": {"imageSize": "4K"}}},
    {"generationConfig": {"image_config": {"image_size": "4K"}}},
    {"generation_config": {"image_config": {"image_size": "4K"}}},
    {"generationConfig": {"responseModalities": ["TEXT"]}},
    {"system_instruction": {"parts": [{"text": "x"}]}},
    {"systemInstruction": {"parts": [{"text": "x"}]}},
    {"tool_config": {}},
    {"service_tier": "priority"},
    {"serviceTier": "priority"},
]


@pytest.mark.parametrize("options", IMAGES_BEYOND)
def test_an_image_is_no_larger_than_what_is_held_for_however_it_is_spelled(options: dict[str, Any]) -> None:
    call = ImagesCall(model="m", prompt="x", provider_options={"google": options})
    target = Target("google", ModelFacts(id="m", name="M", api="generate_content"), "https://provider.test", {})
    with pytest.raises(CapabilityNotSupported):
        provider_named("google").images["generate_content"].render(call, target)


@pytest.mark.parametrize(
    "options",
    [
        {"system_instruction": {"parts": [{"text": "x"}]}},
        {"generation_config": {"max_output_tokens": 9}},
        {"generationConfig": {}},
        {"service_tier": "priority"},
    ],
)
def test_a_recording_is_no_longer_than_what_is_held_for_however_it_is_spelled(options: dict[str, Any]) -> None:
    call = SpeechCall(model="m", input="x", voice="v", response_format="wav", provider_options={"google": options})
    target = Target("google", ModelFacts(id="m", name="M", api="generate_content"), "https://provider.test", {})
    with pytest.raises(CapabilityNotSupported):
        provider_named("google").speech["generate_content"].render(call, target)


@pytest.mark.parametrize(("provider", "api"), sorted({(provider, api) for provider, api, _, _ in CASES}))
def test_other_members_pass(provider: str, api: str) -> None:
    render(provider, api, {"user_tag": "n", "metadata": {"n": 1}})
