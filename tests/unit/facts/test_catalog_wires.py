"""What the catalog says that a model can do, against what its provider is really asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest

from gateway.model.money import BATCH_TIER, cost_nano_usd
from gateway.model.usage import TokenUsage
from gateway.pipeline import route
from gateway.pipeline.route import CAPABILITIES, Capability, can_be_called
from gateway.providers.contract import Provider
from gateway.providers.lookup import provider_named
from tests.unit.facts.rows import every_row, facts

EMBEDDING_APIS = {"embeddings", "cohere_embed", "embed_content", "predict", "titan_embed"}
CHAT_APIS = {"chat_completions", "messages", "generate_content", "converse", "cohere_chat", "responses"}


@pytest.mark.parametrize(
    ("model", "api"),
    [
        *((m, "responses") for m in ("o1-pro", "gpt-5-pro", "gpt-5-codex", "gpt-5.1-codex-max", "o3-deep-research")),
        *((m, "chat_completions") for m in ("gpt-4o", "gpt-5", "o3", "gpt-5.4-mini", "gpt-4o-audio-preview")),
        *(("text-embedding-3-large", "embeddings"), ("gpt-image-2", "images"), ("tts-1", "speech")),
        *(("whisper-1", "transcriptions"), ("sora-2", "videos"), ("gpt-realtime", "realtime")),
    ],
)
def test_openai_models_are_spoken_to_through_the_right_api(model: str, api: str) -> None:
    assert facts("openai", model).api == api


def test_what_generates_something_else_than_text_is_not_a_chat_model() -> None:
    for provider, row in every_row():
        if row.api == "chat_completions":
            assert "text" in row.output, (provider, row.id)
        if re.search(r"embed", row.id):
            assert row.api in EMBEDDING_APIS, (provider, row.id)
        if row.api in EMBEDDING_APIS:
            assert (row.output, "embeddings" in row.capabilities) == (("embedding",), True), (provider, row.id)
        if row.api not in CHAT_APIS:
            assert "embedding" in row.output or row.capabilities or row.api == "completions", (provider, row.id)


NOT_CALLED_YET = {
    "bedrock/openai.gpt-5.4",
    "bedrock/openai.gpt-5.5",
    "groq/canopylabs/orpheus-arabic-saudi",
    "groq/canopylabs/orpheus-v1-english",
    "huggingface/Qwen/Qwen3-Embedding-4B",
    "huggingface/Qwen/Qwen3-Embedding-8B",
    "mistral/voxtral-mini-latest",
    "openai/sora-2",
    "openai/sora-2-pro",
}
"""And so not listed: see `can_be_called`."""
MAKERS: dict[str, Callable[[Provider], Mapping[str, object]]] = {
    "speech": lambda provider: provider.speech,
    "image_generation": lambda provider: provider.images,
    "embeddings": lambda provider: provider.embeddings,
    "video_generation": lambda provider: provider.videos,
    "transcription": lambda provider: provider.transcriptions,
}


def test_every_row_can_be_called_for_what_it_offers_or_is_not_listed() -> None:
    for provider, row in every_row():
        if row.shutdown or "realtime" in row.capabilities or row.api == "completions":
            continue
        assert can_be_called(provider, row) is (f"{provider}/{row.id}" not in NOT_CALLED_YET), (provider, row.id)
        if not can_be_called(provider, row) or (row.api in provider_named(provider).wires and "text" in row.output):
            continue
        for capability in MAKERS.keys() & set(row.capabilities):
            assert row.api in MAKERS[capability](provider_named(provider)), (provider, row.id, capability)


def test_no_row_offers_what_its_provider_is_not_asked_for() -> None:
    """Also where it chats: of all that it can, only pictures come in a chat too."""
    for provider, row in every_row():
        if row.shutdown or not can_be_called(provider, row):
            continue
        wires = {name: of(provider_named(provider)) for name, of in MAKERS.items()}
        if "text" in row.output:
            del wires["image_generation"]
        for capability in wires.keys() & set(row.capabilities):
            assert row.api in wires[capability], (provider, row.id, capability)


def test_no_row_offers_batches_that_its_provider_does_not_take_in() -> None:
    for provider, row in every_row():
        if row.can("batch"):
            batches = provider_named(provider).batches
            assert {row.api} & {*batches.chat, *batches.embeddings, *batches.images}, (provider, row.id)
            assert BATCH_TIER in row.service_tiers, (provider, row.id)


def test_every_capability_is_looked_at() -> None:
    assert {one for one in vars(route).values() if isinstance(one, Capability)} == set(CAPABILITIES)


def test_every_model_of_vectors_that_a_provider_can_make_has_a_wire_a_price_and_its_length() -> None:
    """Hugging Face's router has no such route."""
    for provider, row in every_row():
        if row.api not in EMBEDDING_APIS or provider == "huggingface":
            continue
        assert row.api in provider_named(provider).embeddings, (provider, row.id)
        assert row.embedding is not None, (provider, row.id)
        assert row.embedding.dimensions, (provider, row.id)
        assert cost_nano_usd(TokenUsage(prompt_tokens=1, units={"characters": 0}), row) is not None, (provider, row.id)
