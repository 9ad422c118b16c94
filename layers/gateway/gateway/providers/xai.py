"""xAI. Source: https://docs.x.ai/developers/rest-api-reference/inference/chat-completions (2026-11)."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.providers.contract import InlineLimits, Provider, for_every_model
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks
from gateway.providers.wire.openai_images import OpenAiImages
from gateway.providers.wire.openai_responses import STANDARD, OpenAiResponses
from gateway.providers.wire.xai_video import XaiVideo

CHAT = Quirks(
    # "Unsupported" (logit_bias) or missing in the reference.
    lacks=frozenset(
        {"top_k", "logit_bias", "verbosity", "service_tier", "modalities", "audio", "prediction"}
        | {"prompt_cache_key", "safety_identifier", "store", "metadata"}
    ),
    # Reasoning is missing in completion_tokens, not in total_tokens: the default of `uncounted` puts it right.
    cost=("cost_in_usd_ticks",),  # https://docs.x.ai/developers/cost-tracking
    cost_per_usd=10_000_000_000,
    extra=("citations",),  # live search: https://docs.x.ai/docs/guides/live-search
)

RESPONSES = replace(
    STANDARD,
    # "Not supported. Only maintained for compatibility", missing, or refused: https://docs.x.ai/openapi.json
    lacks=STANDARD.lacks
    | {"metadata", "service_tier", "verbosity", "safety_identifier", "logprobs", "top_logprobs", "web_search_options"},
    developer_role=False,
    obfuscation=False,
    # It documents no limit of calls, and its tools have fees of their own: https://docs.x.ai/developers/tools/tool-usage-details
    server_tools=CHAT.server_tools,
    cost=CHAT.cost,
    cost_per_usd=CHAT.cost_per_usd,
)

# https://docs.x.ai/developers/model-capabilities/images/understanding: 20 MiB an image, JPEG or PNG.
INLINE = InlineLimits(part_bytes={"image": 20 * 2**20}, reads={"image": ("image/jpeg", "image/png")})

# https://docs.x.ai/developers/rest-api-reference/inference/images: size is not supported, n is at most 10
IMAGES = OpenAiImages(size="shape", base64="b64_json", quirks=CHAT)

PROVIDER = Provider(
    name="xai",
    base_url="https://api.x.ai/v1",
    wires={"chat_completions": OpenAiChat(CHAT), "responses": OpenAiResponses(RESPONSES)},
    images={"images": IMAGES},
    videos={"videos": XaiVideo()},
    inline=for_every_model(INLINE),
)
