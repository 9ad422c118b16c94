"""Fireworks AI. Source: https://docs.fireworks.ai/tools-sdks/openai-compatibility (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import InlineLimits, Provider, for_every_model
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks
from gateway.providers.wire.openai_embeddings import OpenAiEmbeddings

CHAT = Quirks(
    # Missing in https://github.com/fw-ai-external/python-sdk/blob/main/src/fireworks/types/chat/completion_create_params.py
    lacks=frozenset(
        {"verbosity", "service_tier", "modalities", "audio", "web_search_options", "prompt_cache_key"}
        | {"safety_identifier", "store"}
    ),
    stream_usage=False,  # sends usage with the last chunk of every stream, the page above
    reasoning="reasoning_content",  # https://docs.fireworks.ai/guides/reasoning
)

# https://docs.fireworks.ai/guides/querying-vision-language-models: 10 MB of images in base64.
INLINE = InlineLimits(request_bytes=10 * 2**20)

# https://docs.fireworks.ai/api-reference/creates-an-embedding-vector-representing-the-input-text
EMBEDDINGS = OpenAiEmbeddings(encodings=frozenset())

PROVIDER = Provider(
    name="fireworks",
    base_url="https://api.fireworks.ai/inference/v1",
    wires={"chat_completions": OpenAiChat(CHAT)},
    embeddings={"embeddings": EMBEDDINGS},
    inline=for_every_model(INLINE),
)
