"""OpenRouter. Source: https://openrouter.ai/docs/api-reference/parameters (2026-11)."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.providers.contract import PDF, TEXT, WEB_IMAGES, InlineLimits, Provider, for_every_model
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks
from gateway.providers.wire.openai_embeddings import OpenAiEmbeddings
from gateway.providers.wire.openai_images import OpenAiImages
from gateway.providers.wire.openai_responses import STANDARD, OpenAiResponses

CHAT = Quirks(
    # Missing in https://github.com/OpenRouterTeam/python-sdk/blob/main/src/openrouter/components/chatrequest.py
    lacks=frozenset({"n", "prompt_cache_key", "safety_identifier", "store"}),
    # `models` and `preset` choose a model, which is what the gateway approves and prices:
    # https://openrouter.ai/docs/features/model-routing, https://openrouter.ai/docs/features/presets
    reserved=Quirks().reserved | {"models", "preset"},
    developer_role=True,
    refusals=True,
    cache_control=True,  # https://openrouter.ai/docs/features/prompt-caching
    # Whichever levels a model has: https://openrouter.ai/docs/client-sdks/python/components/defaulteffort
    reasoning_off={"reasoning_effort": "none"},
    reasoning="reasoning",  # https://openrouter.ai/docs/use-cases/reasoning-tokens
    reasoning_blocks="reasoning_details",  # same page: to be sent back unmodified
    documents="file_or_url",  # https://openrouter.ai/docs/features/multimodal/pdfs
    audio="input_audio",  # https://openrouter.ai/docs/features/multimodal/audio
    video="video_url",  # https://openrouter.ai/docs/features/multimodal/videos
    cost=("cost",),  # USD: https://openrouter.ai/docs/use-cases/usage-accounting
    extra=("provider",),
)

RESPONSES = replace(
    STANDARD,
    # https://github.com/OpenRouterTeam/python-sdk/blob/main/src/openrouter/components/responsesrequest.py: `store` is
    # always false, log probabilities are not among what can be included
    lacks=STANDARD.lacks - {"top_k", "presence_penalty", "frequency_penalty", "modalities"}
    | {"store", "logprobs", "top_logprobs"},
    reserved=STANDARD.reserved | CHAT.reserved,
    obfuscation=False,
    server_tools=CHAT.server_tools,  # its own, at prices of its own: https://openrouter.ai/docs/features/web-search
    cost=CHAT.cost,
)

EMBEDDINGS = OpenAiEmbeddings(
    # https://github.com/OpenRouterTeam/typescript-sdk/blob/main/src/models/operations/createembeddings.ts
    tokens=True,
    lacks=frozenset({"metadata"}),
    reserved=OpenAiEmbeddings().reserved | CHAT.reserved,
)

# https://openrouter.ai/docs/features/multimodal/image-generation
IMAGES = OpenAiImages(path="/images", max_images=1, size="shape", quirks=CHAT)

# https://openrouter.ai/docs/features/multimodal/images and /pdfs
INLINE = InlineLimits(reads={"image": WEB_IMAGES, "document": (PDF, TEXT)})

PROVIDER = Provider(
    name="openrouter",
    base_url="https://openrouter.ai/api/v1",
    wires={"chat_completions": OpenAiChat(CHAT), "responses": OpenAiResponses(RESPONSES)},
    embeddings={"embeddings": EMBEDDINGS},
    images={"images": IMAGES},
    inline=for_every_model(INLINE),
)
