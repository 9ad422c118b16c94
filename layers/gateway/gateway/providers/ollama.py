"""Ollama, on a server of the owner's. Source: https://docs.ollama.com/api/openai-compatibility (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import Provider
from gateway.providers.wire.ollama_embed import OllamaEmbed
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks

CHAT = Quirks(
    # It drops what its ChatCompletionRequest lacks without a word, so we refuse instead:
    # https://github.com/ollama/ollama/blob/main/openai/openai.go
    lacks=frozenset(
        {"top_k", "n", "logit_bias", "tool_choice", "parallel_tool_calls", "verbosity", "service_tier", "modalities"}
        | {"audio", "prediction", "web_search_options", "prompt_cache_key", "safety_identifier", "store", "metadata"}
        | {"user"}
    ),
    reasoning="reasoning",  # same source
    images="image_data",  # same source: base64 only
)

PROVIDER = Provider(
    name="ollama",
    base_url=None,
    wires={"chat_completions": OpenAiChat(CHAT)},
    embeddings={"embeddings": OllamaEmbed()},
)
