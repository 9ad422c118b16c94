"""Hugging Face's router to inference providers. Source: https://huggingface.co/docs/inference-providers (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import Provider
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks

CHAT = Quirks(
    # Unused or missing in https://github.com/huggingface/huggingface.js/blob/main/packages/tasks/src/tasks/
    # chat-completion/inference.ts. What is passed on beyond it depends on the provider that the router picks.
    lacks=frozenset(
        {"top_k", "n", "logit_bias", "parallel_tool_calls", "verbosity", "service_tier", "modalities", "audio"}
        | {"prediction", "web_search_options", "prompt_cache_key", "safety_identifier", "store", "metadata", "user"}
    ),
    stop_as_list=True,  # same source
    video="video_url",  # for the catalog's models with video input, which its providers serve with vLLM or SGLang
)

PROVIDER = Provider(
    name="huggingface",
    base_url="https://router.huggingface.co/v1",
    wires={"chat_completions": OpenAiChat(CHAT)},
)
