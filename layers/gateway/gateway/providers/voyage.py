"""Voyage AI, which makes nothing but vectors. Source: https://docs.voyageai.com/reference/embeddings-api (2026-11)."""

from __future__ import annotations

from gateway.providers.contract import Provider
from gateway.providers.wire.openai_embeddings import OpenAiEmbeddings

EMBEDDINGS = OpenAiEmbeddings(
    max_inputs=1000,
    dimensions="output_dimension",
    encodings=frozenset({"base64"}),
    always={"truncation": False},  # by default it would cut what is too long, without a word
)

PROVIDER = Provider(
    name="voyage",
    base_url="https://api.voyageai.com/v1",
    embeddings={"embeddings": EMBEDDINGS},
)
