"""Cohere. Sources: https://docs.cohere.com/reference/chat, /embed (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import WEB_IMAGES, InlineLimits, Provider, for_every_model
from gateway.providers.wire.cohere_chat import CohereChat
from gateway.providers.wire.cohere_embed import CohereEmbed

# https://docs.cohere.com/docs/image-inputs: 20 MB of images in a request, of these types.
INLINE = InlineLimits(part_bytes={"image": 20 * 2**20}, reads={"image": WEB_IMAGES})

PROVIDER = Provider(
    name="cohere",
    base_url="https://api.cohere.com",
    wires={"cohere_chat": CohereChat()},
    embeddings={"cohere_embed": CohereEmbed()},
    inline=for_every_model(INLINE),
)
