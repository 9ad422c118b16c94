"""DeepSeek. Source: https://api-docs.deepseek.com/api/create-chat-completion (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import Provider
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks

CHAT = Quirks(
    # Members the reference has not. It takes `seed` and `parallel_tool_calls` without a word on them, as recorded.
    lacks=frozenset(
        {"top_k", "n", "logit_bias", "verbosity", "service_tier", "modalities", "audio", "prediction"}
        | {"web_search_options", "prompt_cache_key", "safety_identifier", "store", "metadata", "user"}
    ),
    reasoning_off={"thinking": {"type": "disabled"}},  # https://api-docs.deepseek.com/guides/thinking_mode
    formats=frozenset({"text", "json_object"}),  # https://api-docs.deepseek.com/guides/json_mode
    reasoning="reasoning_content",  # after a tool call a 400 without it: https://api-docs.deepseek.com/guides/thinking_mode
    images="",  # messages take text only, as its 400 for any other part says
    cached_tokens="prompt_cache_hit_tokens",  # https://api-docs.deepseek.com/guides/kv_cache
)

PROVIDER = Provider(
    name="deepseek",
    base_url="https://api.deepseek.com",
    wires={"chat_completions": OpenAiChat(CHAT)},
)
