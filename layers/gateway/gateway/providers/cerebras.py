"""Cerebras. Source: https://inference-docs.cerebras.ai/resources/openai (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import Provider
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks

CHAT = Quirks(
    # Missing in https://github.com/Cerebras/cerebras-cloud-sdk-python/blob/main/src/cerebras/cloud/sdk/types/chat/completion_create_params.py
    lacks=frozenset(
        {"top_k", "verbosity", "modalities", "audio", "web_search_options", "prompt_cache_key", "safety_identifier"}
        | {"store", "metadata"}
    ),
    reasoning="reasoning",  # https://inference-docs.cerebras.ai/capabilities/reasoning
    images="",  # same SDK: a user message takes text parts only
)

PROVIDER = Provider(
    name="cerebras",
    base_url="https://api.cerebras.ai/v1",
    wires={"chat_completions": OpenAiChat(CHAT)},
)
