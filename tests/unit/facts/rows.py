"""The catalog as the gateway reads it: providers, and each model of theirs."""

from __future__ import annotations

from functools import cache

import msgspec

from gateway.model.catalog import ModelFacts, ProviderCatalog
from tests.unit.facts.facts import CATALOG

PROVIDERS = (
    *("anthropic", "azure", "bedrock", "cerebras", "cohere", "deepgram", "deepseek"),
    *("elevenlabs", "fireworks", "google", "groq"),
    *("huggingface", "mistral", "ollama", "openai", "openrouter", "perplexity", "runway", "together", "vertex"),
    *("vllm", "voyage", "xai"),
)


@cache
def catalog(provider: str) -> ProviderCatalog:
    return msgspec.json.decode((CATALOG / f"{provider}.json").read_bytes(), type=ProviderCatalog)


def facts(provider: str, model: str) -> ModelFacts:
    return next(row for row in catalog(provider).models if row.id == model)


def every_row() -> list[tuple[str, ModelFacts]]:
    return [(provider, row) for provider in PROVIDERS for row in catalog(provider).models]
