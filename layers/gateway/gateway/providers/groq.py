"""Groq. Source: https://console.groq.com/docs/openai (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import Batches, InlineLimits, Provider, for_every_model
from gateway.providers.wire.openai_batch import OpenAiBatch
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks
from gateway.providers.wire.openai_transcriptions import OpenAiTranscriptions

CHAT = Quirks(
    # The page above: logprobs, logit_bias, top_logprobs and messages[].name give a 400, n must be 1. The rest is
    # "not currently supported" or missing in
    # https://github.com/groq/groq-python/blob/main/src/groq/types/chat/completion_create_params.py
    lacks=frozenset(
        {"top_k", "n", "logit_bias", "logprobs", "top_logprobs", "verbosity", "modalities", "audio", "prediction"}
        | {"web_search_options", "prompt_cache_key", "safety_identifier", "store", "metadata"}
    ),
    # "Streaming and tool use are not currently supported with Structured Outputs", nor with JSON mode:
    # https://console.groq.com/docs/structured-outputs, https://github.com/jgravelle/GroqApiLibrary/pull/33
    formats_without=frozenset({"tools", "stream"}),
    names=False,
    reasoning="reasoning",  # https://console.groq.com/docs/reasoning
    # Same page: "raw" is the default, and does not go with JSON mode and tools, where "parsed" is.
    thoughts_apart={"reasoning_format": "parsed"},
    untagged_by=frozenset({"include_reasoning"}),  # which `reasoning_format` excludes, same page
)

# https://console.groq.com/docs/vision: 4 MB a request with images in base64.
INLINE = InlineLimits(request_bytes=4 * 2**20)

# https://console.groq.com/docs/batch: OpenAI's, of chats alone, with its limits; its files do not expire.
BATCHES = Batches(chat={"chat_completions": OpenAiBatch(OpenAiChat(CHAT), "/v1/chat/completions", expires=False)})

PROVIDER = Provider(
    name="groq",
    base_url="https://api.groq.com/openai/v1",
    wires={"chat_completions": OpenAiChat(CHAT)},
    transcriptions={"transcriptions": OpenAiTranscriptions(always_verbose=True)},
    batches=BATCHES,
    inline=for_every_model(INLINE),
)
