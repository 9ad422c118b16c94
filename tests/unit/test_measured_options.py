"""What limits and budgets measure is not for `provider_options` to change: each provider under its own names."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.errors import CapabilityNotSupported
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


@pytest.mark.parametrize(("provider", "api"), sorted({(provider, api) for provider, api, _, _ in CASES}))
def test_other_members_pass(provider: str, api: str) -> None:
    render(provider, api, {"user_tag": "n", "metadata": {"n": 1}})
