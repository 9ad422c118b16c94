"""What shared/catalog states of the most that a request may bring, against what the providers' pages say."""

from __future__ import annotations

import pytest

from scripts.catalog_overlay import MEDIUM_OF_MEASURE
from tests.unit.facts.rows import every_row, facts

CLAUDE_200K = {"images": 100, "image_side_px": 8000, "image_side_px above 20 images": 2000, "pages": 100}
CLAUDE_1M = CLAUDE_200K | {"images": 600, "pages": 600}
GEMINI = {"images": 3600, "document_pages": 1000, "videos": 10, "audio_s": 34_200}
PRINTED = {
    ("anthropic", "claude-haiku-4-5"): CLAUDE_200K,
    ("anthropic", "claude-opus-5-5"): CLAUDE_1M,
    ("bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0"): CLAUDE_200K | {"documents": 5},
    ("bedrock", "anthropic.claude-sonnet-4-6"): CLAUDE_1M | {"documents": 5},
    ("bedrock", "us.amazon.nova-pro-v1:0"): {"documents": 5},
    ("bedrock", "mistral.voxtral-small-24b-2507"): {"audio_s": 2400},
    ("vertex", "claude-haiku-4-5@20251001"): CLAUDE_200K,
    ("vertex", "gemini-2.5-flash"): {"images": 3000, "documents": 3000, "document_pages": 1000, "videos": 10},
    ("vertex", "gemini-3-pro-image"): {"images": 14},
    ("google", "gemini-2.5-flash"): GEMINI,
    ("google", "gemini-3.8-flash"): GEMINI,
    ("openai", "gpt-5.5"): {"images": 1500},
    ("azure", "gpt-4o"): {"images": 50},
    ("azure", "claude-sonnet-4-6"): CLAUDE_1M,
    ("mistral", "mistral-medium-latest"): {"images": 8, "document_pages": 1000},
    ("mistral", "voxtral-small-latest"): {"audio_s": 2400},
    ("groq", "meta-llama/llama-4-scout-17b-16e-instruct"): {"images": 5, "image_px": 33_177_600},
    ("cohere", "command-a-vision-07-2025"): {"images": 20},
    ("xai", "grok-4.3"): {},
}


@pytest.mark.parametrize(("name", "printed"), PRINTED.items(), ids="/".join)
def test_limits_are_the_printed_ones(name: tuple[str, str], printed: dict[str, int]) -> None:
    said = {
        limit.of + (f" above {limit.above_images} images" if limit.above_images else ""): limit.most
        for limit in facts(*name).limits
    }
    assert said == printed


def test_each_is_of_something_that_a_chat_with_the_model_may_bring() -> None:
    for provider, row in every_row():
        assert not row.limits or "text" in row.output, (provider, row.id)
        assert {MEDIUM_OF_MEASURE[limit.of] for limit in row.limits} <= set(row.input), (provider, row.id)
        assert len({(limit.of, limit.above_images) for limit in row.limits}) == len(row.limits), (provider, row.id)


def test_every_claude_has_them_by_its_context() -> None:
    """A host that serves less context than the model's maker may take as many images as it."""
    rows = [row for provider, row in every_row() if provider in ("anthropic", "azure", "bedrock", "vertex")]
    claudes = [row for row in rows if "claude" in row.id and "image" in row.input]
    assert len(claudes) > 80
    for row in claudes:
        images = [limit.most for limit in row.limits if limit.of == "images"]
        assert images in ([600], [100]) if row.context_tokens == 200_000 else images == [600], row.id
