"""Cohere. Sources: https://docs.cohere.com/reference/chat, /embed (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import Provider
from gateway.providers.wire.cohere_chat import CohereChat
from gateway.providers.wire.cohere_embed import CohereEmbed

PROVIDER = Provider(
    name="cohere",
    base_url="https://api.cohere.com",
    wires={"cohere_chat": CohereChat()},
    embeddings={"cohere_embed": CohereEmbed()},
)
