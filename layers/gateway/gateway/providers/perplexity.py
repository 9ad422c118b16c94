"""Perplexity. Source: https://docs.perplexity.ai/api-reference/chat-completions-post (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import Provider
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks
from gateway.providers.wire.openai_embeddings import OpenAiEmbeddings
from gateway.providers.wire.perplexity_async import PerplexityAsync

CHAT = Quirks(
    # Missing in https://github.com/perplexityai/perplexity-py/blob/main/src/perplexity/types/chat/completion_create_params.py
    lacks=frozenset(
        {"seed", "logit_bias", "verbosity", "service_tier", "modalities", "audio", "prediction", "prompt_cache_key"}
        | {"safety_identifier", "store", "metadata", "user"}
    ),
    formats=frozenset({"text", "json_schema"}),  # same source
    documents="file_url",  # https://docs.perplexity.ai/docs/sonar/media
    stream_usage=False,  # every chunk has the usage so far
    reasoning_apart=True,  # deep research bills them beside completion_tokens: https://docs.perplexity.ai/getting-started/pricing
    cost=("cost", "total_cost"),  # USD, same SDK: shared/usage_info.py
    extra=("citations", "search_results", "related_questions"),
)

# https://docs.perplexity.ai/api-reference/embeddings-post
EMBEDDINGS = OpenAiEmbeddings(path="/v1/embeddings", max_inputs=512, encodings=frozenset(), int8=True)

PROVIDER = Provider(
    name="perplexity",
    base_url="https://api.perplexity.ai",
    wires={"chat_completions": OpenAiChat(CHAT)},
    background={"chat_completions": PerplexityAsync(CHAT)},
    embeddings={"embeddings": EMBEDDINGS},
)
